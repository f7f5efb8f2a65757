"""Ticket files: a mask as bits, and the starting values of what it keeps.

    tf_lottery ticket 1 <SHA-256 of the rest>
    an .npz archive:
        index      JSON: paths, shapes, data types
        mask0      bits of the first kernel's mask, eight in a byte
        kept0      its kept weights' starting values, in order
        frozen0    what its pruned weights are held at; absent if zero
        state0     the first of the other variables, and so on

Nothing in it is code: it is read without pickle. Starting values of pruned
weights are not kept, for a training never sees them.
"""

import hashlib
import io
import json
import os
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.foundation.files import write_atomically

Arrays = Mapping[str, np.ndarray]
MAGIC = b"tf_lottery ticket 1 "
END_OF_HEADER = len(MAGIC) + 64


def write(
    path: str | os.PathLike,
    weights: Arrays,
    masks: Arrays,
    frozen: Arrays,
    state: Arrays,
    order: Sequence[str],
) -> None:
    """Writes a ticket as a whole or not at all.

    Args:
        path: Of the file; what is there is replaced.
        weights: Starting values by kernel path.
        masks: True = kept, of the same shapes.
        frozen: What pruned weights are held at, of the same shapes.
        state: All other variables by path.
        order: In which those stood beside the masks, by path.

    Raises:
        StorageError: It could not be written; what was there before stays.
    """
    arrays: dict[str, np.ndarray] = {}
    kernels = []
    for i, (name, values) in enumerate(weights.items()):
        mask = masks[name].astype(bool)
        kernels.append([name, list(values.shape)])
        arrays[f"mask{i}"] = np.packbits(mask)
        arrays[f"kept{i}"] = _storable(values[mask])
        if frozen[name][~mask].any():
            arrays[f"frozen{i}"] = _storable(frozen[name][~mask])
    for i, values in enumerate(state.values()):
        arrays[f"state{i}"] = _storable(values)
    index = {"kernels": kernels, "state": list(state), "order": list(order)}
    arrays["index"] = np.frombuffer(json.dumps(index).encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    data = buffer.getvalue()
    digest = hashlib.sha256(data).hexdigest().encode()
    write_atomically(path, MAGIC + digest + data)


def read(
    path: str | os.PathLike,
) -> tuple[Arrays, Arrays, Arrays, Arrays, list[str]]:
    """Returns what `write` was given, with zero for weights not kept.

    Raises:
        FileNotFoundError: It is not there.
        InvalidValue: It is no ticket, or is damaged.
    """
    content = pathlib.Path(path).read_bytes()
    header, data = content[:END_OF_HEADER], content[END_OF_HEADER:]
    where = os.fspath(path)
    if not header.startswith(MAGIC):
        raise InvalidValue(
            f"expected a ticket in {where!r}, which begins with {MAGIC!r}, "
            f"received {header[:40]!r}"
        )
    if hashlib.sha256(data).hexdigest().encode() != header[len(MAGIC) :]:
        raise InvalidValue(
            f"expected a whole ticket in {where!r}, received {len(content):,} "
            "bytes whose checksum does not hold: the file is damaged or cut off"
        )
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    index = json.loads(arrays["index"].tobytes())
    weights, masks, frozen = {}, {}, {}
    for i, (name, shape) in enumerate(index["kernels"]):
        count = int(np.prod(shape))
        mask = np.unpackbits(arrays[f"mask{i}"], count=count).astype(bool)
        masks[name] = mask.reshape(shape)
        kept = arrays[f"kept{i}"]
        weights[name] = np.zeros(shape, kept.dtype)
        weights[name][masks[name]] = kept
        frozen[name] = np.zeros(shape, kept.dtype)
        if f"frozen{i}" in arrays:
            frozen[name][~masks[name]] = arrays[f"frozen{i}"]
    state = {name: arrays[f"state{i}"] for i, name in enumerate(index["state"])}
    return weights, masks, frozen, state, index["order"]


def _storable(values: np.ndarray) -> np.ndarray:
    # NumPy's files do not know bfloat16, which is a part of float32.
    return values.astype(np.float32) if values.dtype.kind == "V" else values
