"""The terms of the second-order expansion of an option's value: one definition for all that expand it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from pmkit.core.types import FloatArray
from pmkit.pricing import Greeks

__all__ = ["TAYLOR_TERMS", "TERMS", "TaylorTerm"]

TaylorTerm: TypeAlias = Literal["delta", "gamma", "vega", "vanna", "volga", "theta", "rho"]
Move: TypeAlias = "FloatArray | float"

#: What each term adds, from the greeks, the moves of forward and vol, the years, the move of the rate.
TERMS: dict[str, Callable[[Greeks, Move, Move, float, Move], Any]] = {
    "delta": lambda g, f, v, h, r: g.delta * f,
    "gamma": lambda g, f, v, h, r: 0.5 * g.gamma * f * f,
    "vega": lambda g, f, v, h, r: g.vega * v,
    "vanna": lambda g, f, v, h, r: g.vanna * f * v,
    "volga": lambda g, f, v, h, r: 0.5 * g.volga * v * v,
    "theta": lambda g, f, v, h, r: g.theta * h,
    "rho": lambda g, f, v, h, r: g.rho * r,
}
#: Every term of :func:`pmkit.risk.revalue_taylor`, in the order in which they are added.
TAYLOR_TERMS: tuple[TaylorTerm, ...] = ("delta", "gamma", "vega", "vanna", "volga", "theta", "rho")
