"""The margin that is called: the model's after tools against procyclicality, from its own past alone."""

from __future__ import annotations

import pandas as pd

from pmkit.core.errors import ParameterError
from pmkit.margin.apc import ApcTool, Buffer, LongWindowFloor, StressWeight, apply_apc

__all__ = ["TOOLS", "called_margin"]

#: Parameters of the tools, in the order in which the tools are applied; 0 is none.
TOOLS = ("stress_weight", "floor", "buffer")


def called_margin(
    margin: pd.Series, *, stress_weight: float = 0.0, floor: float = 0.0, buffer: float = 0.0
) -> pd.Series:
    """Return the margin by date after the tools, in its own unit; what they draw on is the path so far.

    Use it where the strength of a tool is a parameter to vary. Where a stressed margin or one of a long
    window is at hand, :func:`pmkit.margin.apply_apc` takes it.

    Parameters
    ----------
    margin : Series
        Margin of the model by date, 0 or more.
    stress_weight : float
        Weight of the stressed margin, the largest that the model has asked for so far; 0 to 1.
    floor : float
        Share of the mean margin so far below which the margin cannot fall; 0 or more.
    buffer : float
        Share of the margin on top of it, used up while it rises; 0 or more.

    Returns
    -------
    Series
        Never below the margin, and higher the stronger a tool is.

    Raises
    ------
    ParameterError
        Not a Series, a strength outside its domain, or a margin that is negative or not finite.
    DataGapError
        No margin.

    References
    ----------
    European Commission (2013), article 28(1): the three options.

    Examples
    --------
    >>> import pandas as pd
    >>> path = pd.Series([1.0, 2.0, 1.0])
    >>> called_margin(path, stress_weight=0.25).tolist(), called_margin(path, floor=1.0).round(4).tolist()
    ([1.0, 2.0, 1.25], [1.0, 2.0, 1.3333])
    """
    if not isinstance(margin, pd.Series):
        raise ParameterError(f"margin is of type {type(margin).__name__}", "a Series by date", "pass one")
    for name, value in (("stress_weight", stress_weight), ("floor", floor), ("buffer", buffer)):
        if isinstance(value, (bool, str)) or not value >= 0.0:
            raise ParameterError(f"{name} is {value!r}", "0 or more", "pass 0 for none")
    tools: list[ApcTool] = []
    if stress_weight:
        tools.append(StressWeight(weight=stress_weight))
    if floor:
        tools.append(LongWindowFloor(share=floor))
    if buffer:
        tools.append(Buffer(size=buffer))
    if not tools:
        return margin.rename("called")
    path = apply_apc(margin, tools, stressed=margin.cummax(), long_window=margin.expanding().mean())
    return pd.Series(path.table["called"].to_numpy(), index=margin.index, name="called")
