"""The page: `report.html`, and the figures beside it, from a run's folder."""

import base64
import io
import json
import pathlib
from typing import Any, NamedTuple

import jinja2
import matplotlib
from matplotlib.figure import Figure

from tf_lottery.foundation.files import storing, write_atomically
from tf_lottery.foundation.run_folder import read_records, read_snapshots
from tf_lottery.report.plots import curves, mask_plots, style, supermask_plots
from tf_lottery.report.tables import beside_paper, rounds, run_tables


class Table(NamedTuple):
    """A table of text; the first column is the arm."""

    title: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]


class Report(NamedTuple):
    """What a run came to.

    Args:
        tables: Of the numbers.
        notes: What is to be known beside them.
        page: Path of `report.html`.
    """

    tables: list[Table]
    notes: list[str]
    page: pathlib.Path


def build(folder: pathlib.Path) -> Report:
    """Writes summary, figures and page of a run, and returns what they say.

    Args:
        folder: Of the run; `plan.json`, `env.json` and `metrics.csv` are
            there.

    Raises:
        StorageError: A file could not be written.
    """
    plan = json.loads((folder / "plan.json").read_text())
    env = json.loads((folder / "env.json").read_text())
    arms = plan["arms"]
    found = run_tables.measure(folder, arms)
    lines = found.lines
    if plan.get("rounds"):
        shown = [Table(*t) for t in rounds.tables(lines, arms)]
        notes = _notes_on_rounds(plan)
        drawn = {**curves.draw(lines, arms), **mask_plots.draw(found, arms)}
    else:
        published = plan["published"]
        paper = published["accuracy"] if published else {}
        rows = beside_paper.compare(lines, arms, paper)
        cells = [beside_paper.cells(row) for row in rows]
        shown = [Table("", beside_paper.HEADER, cells)]
        notes = _notes(plan)
        records, pictures = read_records(folder), read_snapshots(folder)
        drawn = supermask_plots.draw(arms, records, pictures, paper)

    run_tables.write(folder, found)
    with storing(folder):
        (folder / "figures").mkdir(exist_ok=True)
    pictures_shown = []
    for name, (figure, caption) in drawn.items():
        svg, png = _render(figure, "svg"), _render(figure, "png")
        write_atomically(folder / "figures" / f"{name}.svg", svg)
        write_atomically(folder / "figures" / f"{name}.png", png)
        data = base64.b64encode(svg).decode()
        pictures_shown.append(
            (name, f"data:image/svg+xml;base64,{data}", caption)
        )

    template = _environment().get_template("page.html")
    page = folder / "report.html"
    text = template.render(
        plan=plan,
        env=env,
        command=f"python -m tf_lottery.main --gin_file={folder}/config.gin",
        tables=shown,
        notes=notes,
        figures=pictures_shown,
        config=(folder / "config.gin").read_text(),
    )
    write_atomically(page, text.encode())
    return Report(shown, notes, page)


def _notes(plan: dict[str, Any]) -> list[str]:
    recipe = plan["recipe"]
    notes = [
        f"Data {plan['data']}, {recipe['steps']:,} steps of "
        f"{recipe['batch_size']} images. Test accuracy in per cent after the "
        f"last step, the mean of {recipe['mask_samples']} sampled masks; kept: "
        "per cent of the weights.",
    ]
    if plan["published"]:
        source = plan["published"]["source"]
        deviations = plan["deviations"]
        if deviations:
            notes.append(
                f"Not the protocol of {source}: {'; '.join(deviations)}. "
                "Differences are no verdict."
            )
        else:
            notes.append(f"The protocol of {source}.")
    return notes


def _notes_on_rounds(plan: dict[str, Any]) -> list[str]:
    recipe = plan["recipe"]
    return [
        f"Data {plan['data']}, {recipe['steps']:,} iterations of "
        f"{recipe['batch_size']} images a training, evaluated every "
        f"{recipe['eval_every']:,}; means over runs. Round 0 is the dense "
        "network. Early stop is the iteration of the lowest validation loss, "
        "found after the fact.",
    ]


def _render(figure: Figure, kind: str) -> bytes:
    buffer = io.BytesIO()
    metadata = {"Date": None} if kind == "svg" else None
    with matplotlib.rc_context(style.STYLE):
        figure.savefig(buffer, format=kind, dpi=150, metadata=metadata)
    return buffer.getvalue()


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("tf_lottery.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
