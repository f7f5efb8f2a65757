#!/usr/bin/env bash
# Sets up a virtual environment beside this file, once, and then
#   ./run.sh           runs the main job on digits that need no download
#   ./run.sh test      runs the tests; arguments go to pytest
#   ./run.sh check     runs ruff and mypy
#   ./run.sh docs      builds the pages of docs/ into site/; `docs serve` shows them
set -euo pipefail
cd "$(dirname "$0")"

VENV=.venv
# What the installation depends on; another value means to install again.
STAMP=$(cat setup.cfg pyproject.toml | cksum)

setup() {
  if [ "$(cat "$VENV/installed" 2>/dev/null)" = "$STAMP" ]; then
    return
  fi
  echo "Setting up $VENV (once; some minutes, several hundred MB)"
  "${PYTHON:-python3}" -m venv "$VENV"
  "$VENV/bin/python" -m pip install --quiet --editable '.[dev]'
  echo "$STAMP" > "$VENV/installed"
}

usage() {
  echo "usage: ./run.sh [test|check|docs [serve]]" >&2
  exit 2
}

case "${1:-main}" in
  main)
    setup
    exec "$VENV/bin/python" -m tf_lottery.main \
      --gin_file=gin/supermask.gin --gin_file=gin/quick.gin \
      --gin_bindings="DATA = 'mnist_5k'" --gin_bindings="STEPS = 8000" \
      --data_dir=store/tfds
    ;;
  test)
    setup
    shift
    exec "$VENV/bin/python" -m pytest --numprocesses=auto "$@"
    ;;
  check)
    setup
    "$VENV/bin/ruff" check .
    "$VENV/bin/ruff" format --check .
    exec "$VENV/bin/mypy"
    ;;
  docs)
    setup
    # It advertises otherwise.
    export NO_MKDOCS_2_WARNING=1
    case "${2:-build}" in
      build) exec "$VENV/bin/python" -m mkdocs build --strict ;;
      serve) exec "$VENV/bin/python" -m mkdocs serve ;;
      *) usage ;;
    esac
    ;;
  *)
    usage
    ;;
esac
