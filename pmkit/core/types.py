"""Names for the arrays and words that pass between rooms."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["BoolArray", "Dynamics", "FloatArray", "IntArray", "Settlement"]

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]

Settlement = Literal["linear", "inverse"]
"""``linear``: premium and payoff in quote currency; ``inverse``: in units of the underlying coin."""

Dynamics = Literal["sticky_strike", "sticky_moneyness", "sticky_delta"]
"""What a spot move does to the smile: hold vol at the strike, at ln(K/F), or at ln(K/F)/(sigma sqrt(tau))."""
