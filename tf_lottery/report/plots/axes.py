"""Axes: those that several figures share."""

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

DECADES = 10**2.7
"""The end of an axis over its beginning, up to which it has more labels than
the powers of ten."""

TICKS = (100, 30, 10, 3, 1, 0.3, 0.1, 0.03, 0.01)


def descending(axes: Axes, lowest: float) -> None:
    """Makes the x axis the papers': logarithmic, from all weights to few."""
    axes.set_xscale("log")
    axes.set_xlim(115, lowest / 1.15)
    shown = [tick for tick in TICKS if tick > lowest / 1.15]
    axes.xaxis.set_major_locator(FixedLocator(shown))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("weights remaining (%)")


def logarithmic(axes: Axes) -> None:
    """Makes the y axis logarithmic, with plain numbers."""
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(NullLocator())


def over_steps(axes: Axes) -> None:
    """Makes the x axis that of training steps, logarithmic."""
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    low, high = axes.get_xlim()
    few = high < DECADES * low
    axes.xaxis.set_minor_formatter(_leading_digit if few else NullFormatter())
    axes.set_xlabel("training steps (log)")


def _leading_digit(x: float, position: float) -> str:
    # Between the powers of ten, only 2 and 5 have room for a label.
    del position
    return f"{x:,.0f}" if f"{x:e}"[0] in "25" else ""
