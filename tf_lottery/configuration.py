"""Configuration: from gin files and bindings to a plan.

The only file that knows gin.
"""

import difflib
import importlib
import os
import pathlib
import re
from typing import TYPE_CHECKING

from absl import flags, logging

if TYPE_CHECKING:
    from tf_lottery.experiments.plan import Plan

PACKAGE = pathlib.Path(__file__).parent
ROOT = PACKAGE if (PACKAGE / "gin").is_dir() else PACKAGE.parent
"""The folder that has gin/: the package, in an installed wheel, or else the
repository."""

GIN_FILE = flags.DEFINE_multi_string(
    "gin_file", [], "A gin file; repeatable, later ones override earlier ones."
)
GIN_BINDINGS = flags.DEFINE_multi_string(
    "gin_bindings", [], "A line of gin, such as 'SEEDS = 5'; repeatable."
)
IMPORT_MODULE = flags.DEFINE_multi_string(
    "import_module", [], "A module of yours that a gin file names; repeatable."
)


class UserError(Exception):
    """What was asked for cannot be done, in one sentence."""


def read_plan(files: list[str], bindings: list[str]) -> "tuple[Plan, str]":
    """Returns the plan and the configuration that reproduces it.

    Raises:
        UserError: A file, name, parameter or value is wrong.
    """
    import gin

    # It logs every place where it does not find a file.
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.FATAL)
    gin.add_config_file_search_path(os.fspath(ROOT))
    try:
        for module in IMPORT_MODULE.value:
            importlib.import_module(module)
        for file in files:
            _expect_file(file)
        gin.parse_config_files_and_bindings(files, bindings)
        _expect_used_macros(gin.config_str(), files, bindings)
        plan = gin.get_configurable("tf_lottery.experiments.plan.Plan")()
    except Exception as error:  # gin raises whatever the values' users raise
        logging.set_verbosity(verbosity)
        logging.debug("while reading the configuration", exc_info=True)
        raise UserError(_one_line(error)) from error
    finally:
        logging.set_verbosity(verbosity)
    return plan, gin.config_str()


def shipped() -> list[str]:
    """Returns the gin files that come with the package, by their names."""
    return sorted(
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "gin").rglob("*.gin")
    )


def _expect_file(file: str) -> None:
    """Raises ValueError for a gin file that is neither here nor shipped."""
    if pathlib.Path(file).is_file() or (ROOT / file).is_file() or "://" in file:
        return
    known = shipped()
    if not known:
        raise ValueError(
            f"expected the gin files of tf_lottery in {ROOT / 'gin'}, found "
            "none: this installation is not whole"
        )
    alike = difflib.get_close_matches(file, known, n=5, cutoff=0.5)
    raise ValueError(
        f"expected a gin file that is in this folder or shipped, such as "
        f"{', '.join(alike or known[:5])}, received {file!r}"
    )


def _expect_used_macros(
    config: str, files: list[str], bindings: list[str]
) -> None:
    """Raises ValueError for a macro that nothing refers to.

    gin takes any name for a new macro, so `STPES = 10` would change nothing.
    In files, macros of other experiments pass: gin/quick.gin sets some, and
    the configuration of a run has them from there.
    """
    places = [(pathlib.Path(file), ROOT / file) for file in files]
    texts = [
        (here if here.exists() else there).read_text() for here, there in places
    ]
    shipped = [path.read_text() for path in (ROOT / "gin").rglob("*.gin")]
    used = _macros_used(config)
    for lines, known in (
        (bindings, used),
        (texts, used.union(*map(_macros_used, shipped))),
    ):
        for name in re.findall(
            r"^([A-Za-z_]\w*) *=", "\n".join(lines), re.MULTILINE
        ):
            if name not in known:
                raise ValueError(
                    f"expected one of the macros {', '.join(sorted(used))}, "
                    f"received {name}, which nothing refers to"
                )


def _macros_used(text: str) -> set[str]:
    return set(re.findall(r"%([A-Za-z_]\w*)", text))


def _one_line(error: Exception) -> str:
    # gin appends where in its files it was, on lines of their own.
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " | ".join(lines) or repr(error)
