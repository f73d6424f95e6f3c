"""Compile the kernels of the slice fits ahead of their first use."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pmkit.surface.inputs.slice_quotes import SliceQuotes
from pmkit.surface.joint.essvi_box import box_to_parameters, project
from pmkit.surface.joint.essvi_fit import fit_essvi
from pmkit.surface.joint.essvi_spline_programme import Programme, laid_out
from pmkit.surface.joint.ssvi_fit import fit_ssvi
from pmkit.surface.slices.svi_fit import fit_svi_many

__all__ = ["warmup_slices"]


def warmup_slices() -> int:
    """Return the number of kernels compiled or loaded, having called each once with a small slice.

    The machine code is kept in the cache of numba, so that later processes start without compiling.

    Examples
    --------
    >>> warmup_slices() > 0
    True
    """
    k = np.linspace(-0.5, 0.5, 9)
    w = 0.04 + 0.1 * np.hypot(k, 0.1)
    fit_svi_many([k], [w])
    quotes = SliceQuotes(
        expiry=pd.Timestamp("2026-01-01", tz="UTC"), tau=0.1, forward=100.0, k=k, w=w, error=0.01 * w,
        w_bid=0.99 * w, w_ask=1.01 * w,
    )  # fmt: skip
    fit_ssvi([quotes])
    project(*box_to_parameters(fit_essvi([quotes]).box))
    Programme(laid_out([quotes], "mm"), 1e-3).solve()
    return 15
