"""Notebooks, executed as they are written."""

import os

import pytest
from conftest import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.slow  # it trains as its readers do
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_runs_from_top_to_bottom(
    path, tmp_path, data_dir, monkeypatch
):
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    monkeypatch.setenv("TFDS_DATA_DIR", data_dir)
    monkeypatch.setenv("PYTHONPATH", os.fspath(ROOT))
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells), (
        "expected a notebook that is stored without outputs"
    )
    nbclient.NotebookClient(
        notebook, timeout=120, resources={"metadata": {"path": tmp_path}}
    ).execute()
    outputs = [
        output for cell in notebook.cells for output in cell.get("outputs", [])
    ]
    data = [output.get("data", {}) for output in outputs]
    texts = [output.get("text", "") for output in outputs]
    text = "\n".join([*texts, *(d.get("text/plain", "") for d in data)])
    assert "Round 6: " in text
    assert "of 266,200 weights in" in text
    assert any("image/png" in d for d in data)
    assert (tmp_path / "exported" / "model.tflite").stat().st_size > 0
