import dataclasses
import functools
import importlib

import numpy as np
import pytest

from tf_lottery.foundation import identity
from tf_lottery.masking.masks import BernoulliMask


@dataclasses.dataclass(frozen=True)
class Point:
    x: int
    y: int | None = None


@dataclasses.dataclass(frozen=True)
class OtherPoint:
    x: int
    y: int | None = None


DIFFERENT = [
    1,
    1.0,
    "1",
    True,
    None,
    [1],
    {"1": 1},
    Point(1),
    OtherPoint(1),
    Point(1, 1),
    np.array([1]),
    np.array([1.0]),
    np.array([[1]]),
    len,
    BernoulliMask,
    functools.partial(BernoulliMask, rescale=True),
    functools.partial(BernoulliMask, rescale=False),
]


def test_different_values_have_different_digests():
    digests = [identity.digest(value) for value in DIFFERENT]
    assert len(set(digests)) == len(DIFFERENT)


def test_code_outside_the_package_is_part_of_the_digest(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    text = "def criterion(w_final):\n    return w_final ** {}\n"
    digests = []
    for power in (1, 2, 1):
        name = f"my_criterion_{len(digests)}"
        (tmp_path / f"{name}.py").write_text(text.format(power))
        function = importlib.import_module(name).criterion
        function.__module__ = name
        canonical = identity.canonical(function)
        assert canonical["name"] == f"{name}.criterion"
        digests.append(canonical["source"])
    assert digests[0] == digests[2] != digests[1]
    assert identity.canonical(BernoulliMask) == {
        "name": "tf_lottery>masks.BernoulliMask"
    }


def test_fixed_names_are_of_what_is_there_and_of_one_module_each():
    for place in identity.NAMES:
        try:
            importlib.import_module(place)
        except ModuleNotFoundError:
            module, _, name = place.rpartition(".")
            assert hasattr(importlib.import_module(module), name), place
    assert len({*identity.NAMES.values()}) == len(identity.NAMES)


def test_a_module_of_ours_without_a_fixed_name_has_no_identity():
    with pytest.raises(TypeError, match=r"identity\.digest to have a fixed"):
        identity.canonical(identity.digest)


def test_order_of_keys_and_memory_layout_do_not_matter():
    a = np.arange(6).reshape(2, 3)
    assert identity.digest({"a": 1, "b": a}) == identity.digest(
        {"b": np.asfortranarray(a), "a": 1}
    )


def test_a_new_option_that_is_off_moves_no_digest():
    @dataclasses.dataclass(frozen=True)
    class Point:
        x: int
        y: int | None = None
        later: int | None = None

    Point.__qualname__ = "Point"
    later = identity.digest(Point(1, 2))
    assert later == identity.digest(globals()["Point"](1, 2))


@pytest.mark.parametrize(
    "value", [lambda: 0, object(), {1, 2}, functools.partial(len, [])]
)
def test_what_has_no_name_or_form_is_refused(value):
    with pytest.raises(TypeError, match="expected"):
        identity.digest(value)


def test_nan_is_refused():
    with pytest.raises(ValueError, match="JSON"):
        identity.digest(float("nan"))
