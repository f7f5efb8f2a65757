"""Exporting: a pruned model as files, and what was gained, measured.

`export` writes a model for inference, masks multiplied in, and prints for each
file what it weighs on disk and compressed, how long it takes and how far its
outputs are from the model's, beside a dense network stored the same way:

>>> import tempfile
>>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(90)])
>>> _ = model.layers[0].kernel.assign(keras.ops.eye(8, 90))
>>> with tempfile.TemporaryDirectory() as folder:
...     dense, pruned = export(model, folder, formats=["keras"], verbose=False)
>>> dense.network, pruned.network
('dense', 'pruned')
>>> dense.size == pruned.size  # a zero takes the room of any number
True

Only TFLite stores zeros in less room, and hardly any program skips them. The
sentences below the table say so where it is what was measured.
"""

import errno
import logging
import os
import pathlib
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import keras

from tf_lottery.compression.exporting import formats, gains, measuring
from tf_lottery.compression.exporting.comparison import Network, compare
from tf_lottery.compression.exporting.formats import Format, Runner
from tf_lottery.compression.exporting.gains import Measured
from tf_lottery.compression.exporting.tflite import TFLITE
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.foundation.files import StorageError
from tf_lottery.masking.kernels import masked_kernels

FORMATS: dict[str, Format] = {
    "keras": formats.KERAS,
    "saved_model": formats.SAVED_MODEL,
    "tflite": TFLITE,
}


class _File(NamedTuple):
    """A network that was written and ran, with a note; or `why` it was not."""

    network: Network
    path: pathlib.Path
    run: Runner | None = None
    note: str = ""
    why: str = ""


def export(
    model: keras.Model,
    folder: str | os.PathLike,
    *,
    sample: Any = None,
    formats: Sequence[str] = tuple(FORMATS),
    dense: keras.Model | None = None,
    verbose: bool = True,
) -> list[Measured]:
    """Writes a model for inference, and returns what was measured.

    The files are `model.keras`, `saved_model/` and `model.tflite`, without
    masks: pruned weights are the zeros (or other values) that they are held
    at, and learned masks are as the model would evaluate now. The optimizer is
    left out. TFLite has the zeros in a sparse encoding where that is smaller,
    and computes in float32 what the model computes in mixed precision.

    Each file is opened again and run, and they are put in place when all are
    there: until then, and if anything fails, what was in the folder stays as
    it is. The model has its masks afterwards and is as it was.

    Args:
        model: A built model, masked or not.
        folder: Is made if it is not there.
        sample: A batch of inputs to run the files on; None draws one example
            where the model says what it takes.
        formats: Of "keras", "saved_model" and "tflite".
        dense: A model with the same inputs and outputs to compare with. None
            is the same network with small random numbers for its zeros, whose
            files weigh and take what those of any dense network would; without
            a zero there is nothing to compare then.
        verbose: Print a table, and what it comes to.

    Returns:
        A row of the dense network and one of the model for each format. A
        format that cannot hold the model has the reason in its row.

    Raises:
        InvalidValue: The model is not built, an argument is not as above, or
            no format asked for can hold the model.
        StorageError: The files could not be written.
    """
    names = _expect_formats(formats)
    folder = _expect_folder(folder)
    networks = compare(model, dense, sample)
    rows, new = [], {}
    with _workshop(folder) as work, _quiet():
        for name in names:
            files = [_write(network, name, work) for network in networks]
            rows += _measure(name, files, given=dense is not None)
            if not files[-1].why:
                new[name] = files[-1].path
        if not new:
            whys = [
                f"{r.format}: {r.why}" for r in rows if r.network != "dense"
            ]
            raise InvalidValue(
                f"expected a model that {' or '.join(names)} can hold, "
                f"received one that cannot be written so ({'; '.join(whys)})"
            )
        for path in new.values():
            _put(path, folder / path.name)
    rows = [
        row._replace(path=folder / FORMATS[row.format].file)
        if row.network != "dense" and not row.why
        else row
        for row in rows
    ]
    if verbose:
        gains.show(rows, _notes(networks, given=dense is not None))
    return rows


def _write(network: Network, name: str, work: pathlib.Path) -> _File:
    kind = FORMATS[name]
    path = work / network.name / kind.file
    file = _File(network, path)
    backend = keras.backend.backend()
    if backend != "tensorflow" and not kind.portable:
        why = f"it needs Keras' TensorFlow backend, and Keras runs on {backend}"
        return file._replace(why=why)
    path.parent.mkdir(exist_ok=True)
    model, sample = network.model, network.sample
    try:
        with network.bare():
            note = kind.write(model, path, sample)
            run = kind.open(path, model, sample)
        run()
    except (OSError, MemoryError):
        raise  # no matter of the format
    except Exception as error:
        # TensorFlow has a class of its own for what is an OSError in Python.
        if os.strerror(errno.ENOSPC) in str(error):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        return file._replace(why=formats.reason(error))
    return file._replace(run=run, note=note)


def _measure(
    name: str, files: Sequence[_File], *, given: bool
) -> list[Measured]:
    """Returns the rows of a format; their runs are timed in turns."""
    runs = [file.run for file in files if file.run]
    latencies = iter(measuring.alternate(runs) if runs else [])
    rows = []
    for file in files:
        if not file.run:
            rows.append(Measured(name, file.network.name, why=file.why))
            continue
        outputs = file.run()
        rows.append(
            Measured(
                name,
                file.network.name,
                measuring.size_on_disk(file.path),
                measuring.compressed_size(file.path),
                next(latencies),
                measuring.difference(outputs, file.network.expected),
                measuring.difference(outputs, files[0].network.expected)
                if given
                else None,
                note=file.note,
            )
        )
    return rows


def _notes(networks: Sequence[Network], *, given: bool) -> list[str]:
    """Returns what a reader of the table has to know."""
    own = networks[-1]
    masks = [kernel.mask for kernel in masked_kernels(own.model).values()]
    notes = [f"{own.remaining:.1%} of all weights are not zero."]
    if any(mask.learned for mask in masks):
        notes.append("Learned masks are fixed, as the model evaluates now.")
    notes.append(
        f"ms: a batch of {own.sample.batch} on this machine. error: of the "
        "outputs, against Keras."
    )
    if given:
        notes.append("apart: from the outputs of the dense model.")
    if len(networks) > 1:
        notes.append("In brackets: times the dense network.")
    return notes


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps TensorFlow from telling of every file and every trace."""
    logger = logging.getLogger("tensorflow")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


@contextmanager
def _workshop(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """Makes a folder for files that are not whole yet, in their folder."""
    work = folder / f".export-{uuid.uuid4().hex}"
    try:
        work.mkdir(parents=True)
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise StorageError(
            f"expected to write to {os.fspath(folder)!r}: "
            f"{error.strerror or error}. What was there before is intact; make "
            "room or choose another folder, and export again"
        ) from error


def _put(new: pathlib.Path, target: pathlib.Path) -> None:
    """Moves a file or folder into the place of an older one."""
    for file in measuring.files_of(new):
        handle = os.open(file, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    if not (new.is_dir() and target.exists()):
        os.replace(new, target)
        return
    aside = new.with_name(f"{new.name}-before")
    os.replace(target, aside)
    try:
        os.replace(new, target)
    except OSError:
        os.replace(aside, target)
        raise


def _expect_formats(names: Sequence[str]) -> list[str]:
    names = [names] if isinstance(names, str) else list(names)
    wrong = [name for name in names if name not in FORMATS]
    if wrong or not names:
        raise InvalidValue(
            f"expected formats of {', '.join(FORMATS)}, received "
            f"{', '.join(map(repr, wrong)) or 'none'}"
        )
    return list(dict.fromkeys(names))


def _expect_folder(folder: str | os.PathLike) -> pathlib.Path:
    folder = pathlib.Path(folder)
    if folder.exists() and not folder.is_dir():
        raise InvalidValue(
            f"expected a folder to export to, received the file {str(folder)!r}"
        )
    saved = folder / formats.SAVED_MODEL.file
    if saved.exists() and not (saved / "saved_model.pb").exists():
        raise InvalidValue(
            f"expected {str(saved)!r} to be an earlier export, which is "
            "replaced, received something else; move it, or choose another "
            "folder"
        )
    return folder
