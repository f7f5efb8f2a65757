"""All benchmarks in one run: tables, and a file with every number.

    python -m benchmarks --json=benchmarks.json

Each part is a module of this package and a process of its own, one after the
other: what one leaves in memory costs the next nothing. About 25 minutes on
two cores; `--only steps start` runs some of them.
"""

import argparse
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile

PARTS = {
    "steps": [],
    "shares": [],
    "workers": [],
    "start": [],
    "pruning": ["--weights", "0", "1000000", "20000000", "100000000"],
    "storing": [],
    "report": [],
    "masking": [],
}
"""What each part is called with."""
WITH_IMAGES = ("steps", "shares", "workers", "start")
"""Those that are told where data sets are, too."""


def main() -> int:
    """Runs the parts, and returns how many of them failed."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--data_dir")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=[*PARTS])
    options = parser.parse_args()
    found: dict[str, object] = {
        "machine": {
            "platform": platform.platform(),
            "python": platform.python_version(),
            "cores": os.cpu_count(),
        }
    }
    failed = []
    for part in options.only:
        print(f"== {part}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "values.json")
            command = [sys.executable, "-m", f"benchmarks.{part}"]
            command += [f"--json={file}", *_arguments(part, options.data_dir)]
            if subprocess.run(command).returncode:
                failed.append(part)
            else:
                found[part] = json.loads(file.read_text())
        if options.json:  # after each part: what was measured is kept
            options.json.write_text(json.dumps(found, indent=1) + "\n")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return len(failed)


def _arguments(part: str, data_dir: str | None) -> list[str]:
    images = data_dir and part in WITH_IMAGES
    return PARTS[part] + ([f"--data_dir={data_dir}"] if images else [])


if __name__ == "__main__":
    sys.exit(main())
