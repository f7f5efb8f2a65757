"""Configuration: from gin files and bindings to a plan.

The only file that knows gin. What was written is read twice: `check` looks at
the text alone, with gin's parser, and says what can be known of it before
anything is imported; `read_plan` has gin do what it says.
"""

import difflib
import importlib
import importlib.util
import io
import os
import pathlib
import re
import sys
import tokenize
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from absl import flags, logging

from gin import config_parser
from tf_lottery.foundation import bindings as written
from tf_lottery.foundation import checks, own_sources
from tf_lottery.foundation.bindings import Binding, Macro, Reference, syntax
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.training import optimizers

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
            _import(module)
        gin.parse_config_files_and_bindings(files, bindings)
        plan = gin.get_configurable(written.PLAN)()
    # gin raises whatever the values' users raise, and modules may exit.
    except (Exception, SystemExit) as error:
        logging.set_verbosity(verbosity)
        logging.debug("while reading the configuration", exc_info=True)
        raise UserError(_without_trail(error)) from error
    finally:
        logging.set_verbosity(verbosity)
    return plan, gin.config_str()


def check(files: list[str], bindings: list[str]) -> None:
    """Looks at gin files and bindings without importing what they name.

    Raises:
        UserError: They cannot be read, or say what cannot be.
    """
    reading = _Reading()
    try:
        for module in IMPORT_MODULE.value:
            _expect_somewhere(module)
        for file in files:
            reading.file(file)
        reading.text("\n".join(bindings), "--gin_bindings")
        written.expect_one_experiment(reading.found, files)
        written.expect_finite_numbers(reading.found)
        # A module of the user's may define what only gin will know.
        if not reading.foreign and not IMPORT_MODULE.value:
            written.expect_known_names(reading.found)
            written.expect_used_macros(reading.found, _shipped_macros())
        written.expect_no_circles(reading.found)
        _check_values(reading.found)
    except (InvalidValue, OSError) as error:
        raise UserError(str(error)) from error


def shipped() -> list[str]:
    """Returns the gin files that come with the package, by their names."""
    return sorted(
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "gin").rglob("*.gin")
    )


class _Reading:
    """Reads gin files and what they include, and imports nothing.

    Attributes:
        found: The bindings, in the order in which gin comes to them.
        foreign: Whether a module is imported that is not of this package.
    """

    def __init__(self) -> None:
        self.found: list[Binding] = []
        self.foreign = False
        self._files: tuple[str, ...] = ()
        self._names: dict[str, str] = {}

    def file(self, file: str) -> None:
        """Reads a file."""
        path = _path(file)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise InvalidValue(
                f"expected a gin file that can be read, received {file!r}: "
                f"{error.strerror}"
            ) from error
        if file in self._files:
            inside = ", which includes ".join([*self._files, file])
            raise InvalidValue(
                f"expected gin files without themselves, received {inside}"
            )
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise InvalidValue(
                f"expected the gin file {file} to be text in UTF-8, received "
                f"the byte {data[error.start]:#04x} at {error.start}"
            ) from error
        self.text(text, file)

    def text(self, text: str, file: str) -> None:
        """Reads the text of a file, or of the command line."""
        before = self._files, self._names
        self._files, self._names = (*self._files, file), {}
        for statement in self._statements(text):
            if isinstance(statement, config_parser.IncludeStatement):
                self.file(statement.filename)
            elif isinstance(statement, config_parser.ImportStatement):
                self._import(statement)
            else:
                self._bind(statement)
        self._files, self._names = before

    def _statements(self, text: str) -> Iterator[Any]:
        parser = None
        while True:
            try:
                parser = parser or config_parser.ConfigParser(text, self)
                statement = parser.parse_statement()
            except Exception as error:  # of gin, tokenize or ast, of any kind
                number = parser.current_token.start[0] if parser else 1
                raise InvalidValue(
                    syntax(text, _opened(text) or number, self._files[-1])
                ) from error
            if statement is None:
                return
            yield statement

    def _import(self, statement: Any) -> None:
        if statement.module.startswith("__gin__."):
            return
        self._names[statement.bound_name()] = statement.partial_path()
        if own_sources.is_own(statement.module):
            own_sources.expect_module(statement.module)
        else:
            _expect_somewhere(statement.module)
            self.foreign = True

    def _bind(self, statement: Any) -> None:
        scope, selector = statement.scope, statement.selector
        parameter = getattr(statement, "arg_name", None)
        line = statement.location.line_num
        name = f"{scope}/{selector}" if scope else selector
        self.found.append(
            Binding(
                name=f"{name}.{parameter}" if parameter else name,
                # What has neither a parameter nor a value is a block's head.
                owner="" if parameter == "" else self._full(selector),
                parameter=parameter or "",
                value=getattr(statement, "value", None),
                files=self._files,
                line=0 if self._files == ("--gin_bindings",) else line,
            )
        )

    def _full(self, name: str) -> str:
        first, *rest = name.split(".")
        return ".".join([self._names.get(first, first), *rest])

    # What gin's parser asks for the names in values.

    def configurable_reference(self, name: str, called: bool) -> Reference:
        return Reference(self._full(name.rsplit("/")[-1]), called)

    def macro(self, name: str) -> Macro:
        return Macro(name)


def _path(file: str) -> pathlib.Path:
    """Returns where a gin file is: here or with those that are shipped."""
    for path in (pathlib.Path(file), ROOT / file):
        if path.is_file():
            return path
    known = shipped()
    if not known:
        raise InvalidValue(
            f"expected the gin files of tf_lottery in {ROOT / 'gin'}, found "
            "none: this installation is not whole"
        )
    alike = difflib.get_close_matches(file, known, n=3, cutoff=0.5)
    raise InvalidValue(
        f"expected a gin file that is in this folder or shipped, such as "
        f"{', '.join(alike or known[:3])}, received {file!r}"
    )


def _shipped_macros() -> frozenset[str]:
    texts = [(ROOT / file).read_text() for file in shipped()]
    return frozenset(re.findall(r"%([A-Za-z_]\w*)", "\n".join(texts)))


def _opened(text: str) -> int | None:
    """Returns the line of the first bracket that is never closed, if any."""
    opened = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.string in ("(", "[", "{"):
                opened.append(token.start[0])
            elif token.string in (")", "]", "}") and opened:
                opened.pop()
    except (tokenize.TokenError, SyntaxError):
        return opened[0] if opened else None
    return None


def _expect_somewhere(module: str) -> None:
    """Raises InvalidValue for a module that no folder has."""
    top = module.partition(".")[0]
    try:
        found = top in sys.modules or bool(importlib.util.find_spec(top))
    except ValueError:  # an empty name
        found = False
    if not found:
        raise InvalidValue(
            f"expected a module that can be imported, received {module!r}, "
            "which is in no folder of sys.path"
        )


WHOLE = (
    *("Plan.seeds", "Recipe.steps", "Recipe.batch_size"),
    *("Recipe.eval_every", "Recipe.mask_samples"),
)


def _check_values(found: list[Binding]) -> None:
    """Raises InvalidValue for what a recipe or plan will refuse, sooner."""
    for binding, value in written.resolved(found):
        parameter = f"{binding.owner}.{binding.parameter}"
        if any(isinstance(x, Macro | Reference) for x in written.leaves(value)):
            continue
        if parameter.endswith(WHOLE):
            given = binding.value
            name = given.name if isinstance(given, Macro) else binding.name
            checks.positive_int(name, value)
        elif parameter.endswith("Recipe.optimizer"):
            config = value.get("config") if isinstance(value, dict) else None
            optimizers.check(config if isinstance(config, dict) else {})


def _import(module: str) -> None:
    try:
        importlib.import_module(module)
    except (Exception, SystemExit) as error:
        raise InvalidValue(
            f"expected a module that can be imported for --import_module, "
            f"received {module!r}: {type(error).__name__}: {error}"
        ) from error


def _without_trail(error: BaseException) -> str:
    """Returns what an error says, without where gin was when it came up."""
    if isinstance(error, SystemExit):
        return (
            "expected modules that can be imported, received one that exits "
            f"with {error.code!r}"
        )
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if isinstance(error, InvalidValue):
        return lines[0]
    return " | ".join(lines) or repr(error)
