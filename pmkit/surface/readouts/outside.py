"""What a read-out does at a time that no expiry of the surface reaches: it says so."""

from __future__ import annotations

import warnings
from typing import Any, Literal, get_args

import numpy as np

from pmkit.core.errors import DataGapError, ParameterError, PmkitWarning
from pmkit.core.types import FloatArray

__all__ = ["ExtrapolationWarning", "Outside", "check_outside", "last_tau", "same_time", "snapped"]

Outside = Literal["raise", "warn", "extend"]
"""Beyond the last expiry: refuse, go on by the surface's rule with a warning, or do so because told to."""

#: An expiry's own time may differ in the last digits by the way it was computed.
_SAME_TIME = 1e-12


class ExtrapolationWarning(PmkitWarning):
    """A time lies beyond the last expiry: no quote stands behind the number, only a rule of the surface."""


def same_time(one: float, other: float) -> bool:
    """Return whether two positive times in years are the same but for the last digits."""
    return abs(one - other) <= _SAME_TIME * other


def snapped(years: FloatArray, taus: FloatArray) -> FloatArray:
    """Return times in years, those that are an expiry's but for the last digits replaced by it."""
    nearest = taus[np.argmin(np.abs(years[..., None] - taus), axis=-1)]
    return np.where(np.abs(years - nearest) <= _SAME_TIME * nearest, nearest, years)


def last_tau(surface: Any) -> float:
    """Return the time of the last expiry in years; infinity for a surface that is defined at every time."""
    taus = getattr(surface, "taus", None)
    return float(np.max(taus)) if taus is not None and np.size(taus) else float("inf")


def check_outside(surface: Any, tau: FloatArray, outside: str, *, stacklevel: int = 3) -> None:
    """Refuse, report or accept times in years beyond the last expiry of a surface.

    Raises
    ------
    ParameterError
        The policy is not one of ``"raise"``, ``"warn"``, ``"extend"``.
    DataGapError
        A time beyond the last expiry under ``"raise"``.

    Warns
    -----
    ExtrapolationWarning
        A time beyond the last expiry under ``"warn"``.
    """
    if outside not in get_args(Outside):
        raise ParameterError(
            f"outside is {outside!r}", "'raise', 'warn' or 'extend'", "say what holds beyond the last expiry"
        )
    if outside == "extend":
        return
    last = last_tau(surface)
    beyond = tau > last * (1.0 + _SAME_TIME)
    if not beyond.any():
        return
    found = (
        f"tau is {float(np.max(tau[beyond])):g} years, beyond the last expiry at {last:g} years "
        f"({int(beyond.sum())} such time(s))"
    )
    if outside == "raise":
        raise DataGapError(
            found,
            "a time between now and the last expiry",
            'shorten the time, or say outside="extend" to go on by the rule of the surface',
        )
    warnings.warn(
        f"{found}: it goes on by the rule of the surface, without a quote",
        ExtrapolationWarning,
        stacklevel=stacklevel,
    )
