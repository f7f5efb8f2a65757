"""What `import tf_lottery` gives, and what it costs."""

import ast
import inspect
import subprocess
import sys

import pytest

import tf_lottery


@pytest.mark.parametrize("name", tf_lottery.__all__)
def test_what_is_exported_is_there_and_documented(name):
    found = getattr(tf_lottery, name)
    assert found.__doc__
    assert name in dir(tf_lottery)
    namespace = {}
    exec(f"from tf_lottery import {name}", namespace)
    assert namespace[name] is found
    # A module of a function's name would take its place once imported.
    assert inspect.ismodule(found) == (name in tf_lottery._ROOMS)


@pytest.mark.parametrize(
    "name", [n for n in tf_lottery.__all__ if n not in tf_lottery._ROOMS]
)
def test_docstrings_say_what_goes_in(name):
    found = getattr(tf_lottery, name)
    doc = inspect.getdoc(found)
    parameters = set(inspect.signature(found).parameters)
    for parameter in parameters - {"kwargs"}:
        assert f"{parameter}:" in doc, parameter


def test_the_import_loads_nothing():
    code = (
        "import sys, tf_lottery\n"
        "heavy = {'numpy', 'keras', 'tensorflow', 'rich', 'matplotlib'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert ast.literal_eval(done.stdout) == []


def test_another_name_is_an_error():
    with pytest.raises(AttributeError, match="no attribute 'mask_modle'"):
        _ = tf_lottery.mask_modle
