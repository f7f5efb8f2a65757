"""The seal of a complete run: `DONE`, with the checksums of what reports read.

    {"sha256": {"metrics.csv": "...", "snapshots/a, seed 0, round 3.npz": ...}}

So a report notices when one of the files was changed after the run. An empty
file is that of earlier versions, and says only that the run is complete.
"""

import hashlib
import json
import pathlib

from tf_lottery.foundation.files import write_atomically

NAME = "DONE"
SEALED = ("plan.json", "*.csv", "snapshots/*.npz")


def write(folder: pathlib.Path) -> None:
    """Seals a run's folder.

    Raises:
        StorageError: It could not be written.
    """
    sums = {
        path.relative_to(folder).as_posix(): _checksum(path)
        for pattern in SEALED
        for path in sorted(folder.glob(pattern))
        if not path.name.startswith(("damaged-", "."))
    }
    text = json.dumps({"sha256": sums}, indent=1) + "\n"
    write_atomically(folder / NAME, text.encode())


def changed(folder: pathlib.Path) -> list[str]:
    """Returns which files of a sealed folder are no longer what they were.

    Files that are gone are not among them: reports need few of them, and a
    copy may be of those. A seal that is no seal is.

    Raises:
        OSError: A file cannot be read.
    """
    try:
        sums = read(folder)
    except ValueError:
        return [NAME]
    paths = {name: folder / name for name in sums}
    return [
        name
        for name, path in paths.items()
        if path.exists() and (path.is_dir() or _checksum(path) != sums[name])
    ]


def read(folder: pathlib.Path) -> dict[str, str]:
    """Returns the checksums by name; none of a folder that is not sealed.

    Raises:
        ValueError: The seal is no seal.
    """
    path = folder / NAME
    if not path.exists():
        return {}
    try:
        text = path.read_bytes()
        sums = json.loads(text)["sha256"] if text else {}
        return {str(name): str(value) for name, value in sums.items()}
    except (
        *(AttributeError, LookupError, OSError, RecursionError),
        *(TypeError, ValueError),
    ) as error:
        raise ValueError(f"expected checksums in {path}") from error


def _checksum(path: pathlib.Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
