"""Commands: `tf-lottery COMMAND`, or `python -m tf_lottery COMMAND`.

Nothing heavy is imported before a command is known.
"""

import runpy
import sys

COMMANDS = {
    "run": ("tf_lottery.main", "Run a gin file: a figure or a table."),
    "report": ("tf_lottery.report.__main__", "Hold runs against the papers."),
}
"""From a command to the module that does it, and what it does."""


def main() -> None:
    """Hands the command line on to the command that it names."""
    name, *arguments = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help", "help"):
        print("usage: tf-lottery COMMAND [flags]\n")
        for command, (_, sentence) in COMMANDS.items():
            print(f"  {command:8} {sentence}")
        print("\ntf-lottery COMMAND --help lists a command's flags.")
        return
    if name not in COMMANDS:
        print(
            f"error: expected one of {', '.join(COMMANDS)}, received {name!r}",
            file=sys.stderr,
        )
        sys.exit(2)
    module, _ = COMMANDS[name]
    sys.argv = [sys.argv[0], *arguments]
    # As `python -m` runs it: absl then knows whose flags --help is to list.
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
