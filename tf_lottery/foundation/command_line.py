"""Command lines: what was typed wrongly is answered in one line.

Every command ends with 2 where its user has something to mend, and says what
in a line on stderr that begins with "error: ".
"""

import difflib
import sys
from typing import NoReturn

from absl import flags

LONGEST = 300
"""Characters of such a line."""


def parse(argv: list[str]) -> list[str]:
    """Returns the arguments that are no flags; for `app.run(flags_parser=)`.

    A flag that is wrong ends the process with 2, and --help with 0.

    Args:
        argv: Of the process, its name first.
    """
    try:
        return flags.FLAGS(argv)
    except flags.UnrecognizedFlagError as error:
        fail(
            f"expected a flag that --help lists{like(error.flagname, _own())}, "
            f"received --{error.flagname}"
        )
    except (flags.Error, ValueError) as error:  # a ValueError of absl's own
        fail(error)
    except SystemExit:  # --help was printed; absl ends it with 1
        sys.exit(0)


def fail(error: object) -> NoReturn:
    """Prints an error in one line, and ends the process with 2."""
    print(one_line(f"error: {error}"), file=sys.stderr)
    sys.exit(2)


def one_line(text: str) -> str:
    """Returns a text on one line, without its middle if that is too long."""
    text = " ".join(text.split())
    if len(text) <= LONGEST:
        return text
    return f"{text[: LONGEST - 105]} ... {text[-100:]}"


def like(name: str, known: list[str]) -> str:
    """Returns ", such as a or b" with the names most like one; may be empty."""
    alike = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return f", such as {' or '.join(alike)}" if alike else ""


def _own() -> list[str]:
    return [f"--{name}" for name in flags.FLAGS]
