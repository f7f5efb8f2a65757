"""Bindings: what gin files say, looked at before anything is imported.

To import what a file names takes seconds, and gin then says in its own words
what is wrong. So what the text alone tells is told first, in one line.
"""

import contextlib
import itertools
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tf_lottery.foundation import own_sources
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.foundation.command_line import like

PLAN = "tf_lottery.experiments.plan.Plan"
"""What every experiment binds the parameters of."""


@dataclass(frozen=True)
class Reference:
    """An `@function`, or an `@function()` that is called, in a value."""

    name: str
    called: bool


@dataclass(frozen=True)
class Macro:
    """A `%MACRO` in a value."""

    name: str


class Binding(NamedTuple):
    """A value for a macro or a parameter, or the head of a block of them.

    Args:
        name: As it was written, `STEPS` or `recipes.Recipe.steps`.
        owner: What the parameter is one of, in full where the file imports
            it. Empty for a macro.
        parameter: Empty for a macro or the head of a block.
        value: With `Reference` and `Macro` where there are some.
        files: The one it is in, after those that include it in turn.
        line: Where in that file; 0 on the command line.
    """

    name: str
    owner: str
    parameter: str
    value: Any
    files: tuple[str, ...]
    line: int

    @property
    def place(self) -> str:
        """Where it is, for messages."""
        return self.files[-1] + (f", line {self.line}" if self.line else "")

    @property
    def node(self) -> str:
        """What is worked out anew wherever it is named."""
        return self.owner or f"%{self.name}"


def expect_one_experiment(
    bindings: Sequence[Binding], files: Sequence[str]
) -> None:
    """Raises InvalidValue unless the files name one experiment.

    A file names one if it, or what it includes, binds both the experiment and
    the name of the plan. One that includes another takes its place.

    Args:
        bindings: Of all files and of the command line.
        files: Those that the command line names.
    """
    bound: dict[str, set[str]] = {}
    chains = set()
    for binding in bindings:
        chains.add(binding.files)
        if binding.owner.endswith(_short(PLAN)):
            for file in binding.files:
                bound.setdefault(file, set()).add(binding.parameter)
    if not any("experiment" in parameters for parameters in bound.values()):
        raise InvalidValue(
            "expected a gin file that names an experiment, such as --gin_file="
            f"gin/supermask.gin, received {', '.join(files)} without one (no "
            "Plan.experiment)"
        )
    whole = [f for f, p in bound.items() if p >= {"experiment", "name"}]
    for one, other in itertools.combinations(whole, 2):
        if not any({one, other} <= set(chain) for chain in chains):
            raise InvalidValue(
                f"expected gin files of one experiment, received two: {one} "
                f"and {other}; leave one out, or include it in the other"
            )


def expect_finite_numbers(bindings: Sequence[Binding]) -> None:
    """Raises InvalidValue for a number such as 1e400."""
    for binding in bindings:
        for leaf in leaves(binding.value):
            if isinstance(leaf, float) and not math.isfinite(leaf):
                raise InvalidValue(
                    f"expected finite numbers for {binding.name}, received "
                    f"{leaf}, which is what a number beyond 1.8e308 becomes "
                    f"({binding.place})"
                )


def expect_known_names(bindings: Sequence[Binding]) -> None:
    """Raises InvalidValue for what neither this package nor a file defines."""
    # A binding of the command line names, by its last parts, what files name.
    named = dict.fromkeys(
        name
        for binding in bindings
        for name in _named(binding)
        if own_sources.is_own(name)
    )
    for binding in bindings:
        with _at(binding.place):
            for name in _named(binding):
                _expect_known(name, list(named))
            if binding.owner and binding.parameter:
                own = _expect_known(binding.owner, list(named))
                if own is not None and binding.parameter not in own:
                    raise InvalidValue(
                        f"expected one of the parameters {', '.join(own)} of "
                        f"{_short(binding.owner)}, received "
                        f"{binding.parameter}"
                    )


def expect_used_macros(
    bindings: Sequence[Binding], elsewhere: frozenset[str]
) -> None:
    """Raises InvalidValue for a macro without a value or without a use.

    gin takes any name for a new macro, so `STPES = 10` would change nothing.

    Args:
        bindings: To look at.
        elsewhere: Macros of other experiments, which pass in files:
            gin/quick.gin sets some, and the configuration of a run has them
            from there.
    """
    values = {(b.owner, b.parameter, b.name): b for b in bindings}
    used = {
        leaf.name: binding
        for binding in values.values()
        for leaf in leaves(binding.value)
        if isinstance(leaf, Macro)
    }
    macros = {b.name: b for b in bindings if not b.owner}
    for name, binding in used.items():
        if name not in macros and "." not in name:  # else a constant's
            raise InvalidValue(
                f"expected a value for the macro {name}, to which "
                f"{binding.name} refers{like(name, list(macros))}, received "
                f"none ({binding.place})"
            )
    for name, binding in macros.items():
        if name not in used and not (binding.line and name in elsewhere):
            raise InvalidValue(
                f"expected one of the macros {', '.join(sorted(used))}, "
                f"received {name}, which nothing refers to ({binding.place})"
            )


def expect_no_circles(bindings: Sequence[Binding]) -> None:
    """Raises InvalidValue for a value that is made of itself."""
    parts: dict[str, list[str]] = {}
    for key, value in {(b.node, b.parameter): b for b in bindings}.items():
        parts.setdefault(key[0], []).extend(_parts(value))
    done: set[str] = set()

    def visit(node: str, within: tuple[str, ...]) -> None:
        if node in within:
            circle = [*within[within.index(node) :], node]
            raise InvalidValue(
                f"expected a value for {_short(node).lstrip('%')}, received "
                f"{' = '.join(map(_short, circle[1:]))}, which refers to itself"
            )
        if node not in done:
            for part in parts.get(node, ()):
                visit(part, (*within, node))
            done.add(node)

    for node in parts:
        visit(node, ())


def resolved(bindings: Sequence[Binding]) -> Iterator[tuple[Binding, Any]]:
    """Yields the bindings of parameters that count, and their values.

    Values have those of macros in them; there must be no circles.
    """
    macros = {b.name: b.value for b in bindings if not b.owner}

    def resolve(value: Any) -> Any:
        if isinstance(value, Macro) and value.name in macros:
            return resolve(macros[value.name])
        if isinstance(value, dict):
            return {key: resolve(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(map(resolve, value))
        return value

    for binding in {(b.owner, b.parameter): b for b in bindings}.values():
        if binding.parameter:
            yield binding, resolve(binding.value)


def syntax(text: str, number: int, file: str) -> str:
    """Returns what to say of a text that gin cannot read.

    Args:
        text: Of the file.
        number: The line at which it cannot go on, from 1.
        file: The name of the file.
    """
    lines = text.splitlines()[:number] or [""]
    place = file if file.startswith("--") else f"{file}, line {number}"
    name = ""
    for line in reversed(lines):
        bound = re.match(r"\s*([A-Za-z_][\w./]*)\s*=(.*)", line)
        head = re.match(r"([A-Za-z_][\w./]*)\s*:", line)
        if bound and not name:
            name = bound[1]
        elif head and name:
            name = f"{head[1]}.{name}"
        if re.match(r"[^\s\])}\"'@%#]", line):
            break
    if not name:
        return (
            "expected a line such as STEPS = 5, an import or an include, "
            f"received {lines[-1].strip()!r} ({place})"
        )
    received = re.sub(r"^\s*[A-Za-z_][\w./]*\s*=", "", lines[-1]).strip()
    return (
        f"expected {name} to be a literal, an @reference or a %MACRO, as gin "
        f"computes nothing, with all its brackets closed, received "
        f"{received!r} ({place})"
    )


def leaves(value: Any) -> Iterator[Any]:
    """Yields what a value is made of, keys of dicts, too."""
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if not isinstance(value, list | tuple):
        yield value
        return
    for item in value:
        yield from leaves(item)


def _parts(binding: Binding) -> Iterator[str]:
    for leaf in leaves(binding.value):
        if isinstance(leaf, Macro):
            yield f"%{leaf.name}"
        elif isinstance(leaf, Reference) and leaf.called:
            yield leaf.name


def _named(binding: Binding) -> Iterator[str]:
    if binding.owner:
        yield binding.owner
    for leaf in leaves(binding.value):
        if isinstance(leaf, Reference):
            yield leaf.name


def _expect_known(name: str, named: list[str]) -> own_sources.Parameters:
    if own_sources.is_own(name):
        return own_sources.parameters(name)
    for full in named:
        if full.endswith(f".{name}"):
            return own_sources.parameters(full)
    if name.startswith("gin."):
        return None
    raise InvalidValue(
        "expected what the gin files name"
        f"{like(name, [_short(n) for n in named])}, received {name}"
    )


def _short(name: str) -> str:
    return ".".join(name.split(".")[-2:])


@contextlib.contextmanager
def _at(place: str) -> Iterator[None]:
    try:
        yield
    except InvalidValue as error:
        raise InvalidValue(f"{error} ({place})") from error
