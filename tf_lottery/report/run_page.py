"""The page of a run: `report.html`, and the figures beside it."""

import pathlib
from typing import NamedTuple

from tf_lottery.report import pages
from tf_lottery.report.plan_files import read_json, read_plan
from tf_lottery.report.plots import render
from tf_lottery.report.showing import SHOWN, SingleRun
from tf_lottery.report.tables import not_finite, run_tables
from tf_lottery.report.tables.text_table import TextTable
from tf_lottery.report.verdicts import read_runs


class RunPage(NamedTuple):
    """What a run came to.

    Args:
        tables: The tables of the numbers.
        notes: What is to be known beside them.
        page: The path of `report.html`.
    """

    tables: list[TextTable]
    notes: list[str]
    page: pathlib.Path


def build(folder: pathlib.Path) -> RunPage:
    """Writes summary, figures and page of a run, and returns what they say.

    Args:
        folder: The folder of the run; `plan.json`, `env.json` and
            `metrics.csv` are there.

    Raises:
        DamagedFile: A file of the run is damaged.
        StorageError: A file could not be written.
    """
    plan = read_plan(folder / "plan.json")
    env = read_json(folder / "env.json")
    found = read_runs.measure(folder, plan)
    run_tables.write(folder, found)
    run, shown = SingleRun(folder, plan, found), SHOWN[plan["kind"]]
    drawings = render.drawings(shown.run_drawings(run))
    pages.write_drawings(folder, drawings)
    tables = shown.run_tables(run)
    notes = [*shown.run_notes(plan), *not_finite.notes(found.not_finite)]
    page = folder / "report.html"
    facts = {
        "plan": plan,
        "env": env,
        "command": f"python -m tf_lottery.main --gin_file={folder}/config.gin",
        "tables": tables,
        "notes": notes,
        "drawings": drawings,
        "config": (folder / "config.gin").read_text(),
    }
    pages.write_page(page, "page.html", facts)
    return RunPage(tables, notes, page)
