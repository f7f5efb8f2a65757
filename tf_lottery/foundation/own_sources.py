"""What the modules of this package define, read off their sources.

Nothing is imported: to import a module that trains takes seconds, to read it
milliseconds. Where a source does not say, it is left to the import.
"""

import ast
import functools
import pathlib

from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.foundation.command_line import like

PACKAGE = pathlib.Path(__file__).parent.parent

Parameters = tuple[str, ...] | None
"""What a function or class takes; None if its source alone does not say."""


def is_own(name: str) -> bool:
    """Whether a dotted name begins with that of this package."""
    return name.split(".")[0] == PACKAGE.name


def expect_module(name: str) -> None:
    """Raises InvalidValue unless this package has a module of that name."""
    _, rest = _split(name)
    if rest:
        known = [
            ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
            for path in PACKAGE.rglob("*.py")
        ]
        raise InvalidValue(
            f"expected a module of this package{like(name, known)}, received "
            f"{name}"
        )


def parameters(name: str) -> Parameters:
    """Returns what a function or class of this package takes.

    Args:
        name: In full, such as `tf_lottery.rules.criteria.random`.

    Raises:
        InvalidValue: There is none of that name.
    """
    file, rest = _split(name)
    if not rest:
        return None
    defined = _definitions(file)
    if rest[0] not in defined and "__getattr__" not in defined:
        module = name.removesuffix("." + ".".join(rest))
        raise InvalidValue(
            f"expected a name that {module} defines"
            f"{like(rest[0], list(defined))}, received {rest[0]}"
        )
    return defined.get(rest[0]) if len(rest) == 1 else None


def _split(name: str) -> tuple[pathlib.Path, list[str]]:
    """Returns the file of the module in a name, and the rest of the name."""
    place, rest = PACKAGE.parent, name.split(".")
    while rest and (place / rest[0]).is_dir():
        place /= rest.pop(0)
    if rest and (place / f"{rest[0]}.py").is_file():
        return place / f"{rest.pop(0)}.py", rest
    return place / "__init__.py", rest


@functools.cache
def _definitions(file: pathlib.Path) -> dict[str, Parameters]:
    found: dict[str, Parameters] = {}
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            found[node.name] = _arguments(node)
        elif isinstance(node, ast.ClassDef):
            found[node.name] = _fields(node)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {a.asname or a.name: None for a in node.names}
        else:
            names = (n for n in ast.walk(node) if isinstance(n, ast.Name))
            found |= {n.id: None for n in names}
    return found


def _arguments(node: ast.FunctionDef) -> Parameters:
    taken = node.args
    if taken.kwarg:
        return None
    every = taken.posonlyargs + taken.args + taken.kwonlyargs
    return tuple(argument.arg for argument in every)


def _fields(node: ast.ClassDef) -> Parameters:
    if node.bases or not node.decorator_list:
        return None  # fields of a base, or an __init__
    return tuple(
        field.target.id
        for field in node.body
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and "ClassVar" not in ast.unparse(field.annotation)
    )
