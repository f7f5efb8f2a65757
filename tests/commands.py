"""Commands in this process, as they were typed."""

from absl import flags, logging
from absl.testing import flagsaver

import gin
from tf_lottery import main
from tf_lottery.foundation import command_line


def run(*argv):
    """Reads flags and does what they say; returns the exit status."""
    if not flags.FLAGS.is_parsed():
        flags.FLAGS(["main"])
    verbosity = logging.get_verbosity()
    with flagsaver.flagsaver():
        flags.FLAGS.unparse_flags()
        try:
            main.run_main(command_line.parse(["main", *argv]))
        except SystemExit as end:
            return end.code
        finally:
            gin.clear_config(clear_constants=True)
            if not flags.FLAGS.is_parsed():
                flags.FLAGS.mark_as_parsed()
            logging.set_verbosity(verbosity)
    return 0


def is_one_line(err):
    """Whether stderr is what a user's mistake gets."""
    return (
        err.startswith("error: ")
        and err.endswith("\n")
        and len(err.splitlines()) == 1
        and len(err) <= 301
    )
