"""Links: where things are, seen from a page."""

import os
import pathlib
import urllib.parse


def relative(folder: pathlib.Path, out: pathlib.Path) -> str:
    """Returns a link from the report to a folder."""
    path = pathlib.PurePath(os.path.relpath(folder, out)).as_posix()
    return urllib.parse.quote(path) + "/"
