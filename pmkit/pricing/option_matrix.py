"""Many options over many scenarios in one call: the matrix of values behind accounts of options."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pmkit.core.errors import ParameterError
from pmkit.core.types import BoolArray, FloatArray, IntArray
from pmkit.pricing.inputs import as_flags, as_floats
from pmkit.pricing.kernels import contiguous, target_of
from pmkit.pricing.reval_single import fill_single_matrix, strike_logs
from pmkit.pricing.reval_vector import fill_logs, fill_matrix

__all__ = ["option_matrix"]


def option_matrix(
    forward: FloatArray,
    iv: npt.ArrayLike,
    strike: npt.ArrayLike,
    tau: npt.ArrayLike,
    is_call: bool | npt.ArrayLike,
    inverse: bool | npt.ArrayLike,
    *,
    level: FloatArray | None = None,
    curve: IntArray | None = None,
    single: bool = False,
    out: npt.NDArray[Any] | None = None,
) -> npt.NDArray[Any]:
    """Return undiscounted values of options per scenario, USD or coin per unit of underlying.

    For options whose vols all move by the level of their expiry. Where the smile itself moves, give each
    option its own vols with :func:`option_values`.

    Parameters
    ----------
    forward : ndarray of float64, shape (n,) or (e, n)
        Forward in each scenario, one row an expiry, quote currency, 0 or more (above 0 for inverse options).
    iv, strike, tau : array_like, shape (m,)
        Implied volatility before the scenarios (annualised decimal, 0 or more), strike (quote currency, 0 or
        more) and years to expiry (0 or more) of each option. NaN gives a row of NaN.
    is_call, inverse : bool or array_like of bool, shape (m,)
        True for a call; True for the coin value ``B76/F``.
    level : ndarray of float64, shape of ``forward``, optional
        Factor on the implied volatility in each scenario, 0 or more; 1 where left out.
    curve : ndarray of int, shape (m,), optional
        Row of ``forward`` that belongs to each option; the first where left out.
    single : bool
        Whether to work in float32: half the memory, absolute error below 5e-7 F.
    out : ndarray, shape (m, n), optional
        Contiguous array to fill, float64 or float32 as ``single`` says.

    Returns
    -------
    ndarray of float64 or float32, shape (m, n)
        NaN where forward or level is NaN.

    Raises
    ------
    ParameterError
        A value lies outside its range, or the shapes do not fit.

    Notes
    -----
    ``out[j, i] = B76(F[c, i], K[j], tau[j], iv[j] level[c, i])``, ``c = curve[j]``; absolute error below
    1e-14 F in doubles. Bits do not depend on how scenarios and options are cut into calls. Releases the
    interpreter lock.

    References
    ----------
    Black (1976), equation (16).

    Examples
    --------
    >>> forward = np.array([50_400.0, 69_600.0])
    >>> option_matrix(forward, [0.6, 0.6], [60_000.0, 50_000.0], [30 / 365] * 2, [True, False], True).round(8)
    array([[0.01520037, 0.15505496],
           [0.06437222, 0.0015145 ]])
    """
    columns = {
        "iv": as_floats("iv", contiguous(np.asarray(iv)), "an annualised implied volatility (decimal)"),
        "strike": as_floats("strike", contiguous(np.asarray(strike)), "a strike price in quote currency"),
        "tau": as_floats("tau", contiguous(np.asarray(tau)), "a time to expiry in years"),
    }
    calls, coins = as_flags("is_call", is_call), as_flags("inverse", inverse)
    count = int(columns["strike"].size)
    for name, column in columns.items():
        if column.shape != (count,):
            raise ParameterError(
                f"{name} has shape {column.shape}", f"({count},)", "give one value an option"
            )
    for name, flags in (("is_call", calls), ("inverse", coins)):
        if flags.shape not in ((), (count,)):
            raise ParameterError(f"{name} has shape {flags.shape}", f"({count},)", "give one flag an option")
    calls, coins = (np.array(np.broadcast_to(flags, count)) for flags in (calls, coins))
    forwards = _rows("forward", forward, "a forward price in quote currency", positive=bool(coins.any()))
    levels = np.ones_like(forwards) if level is None else _rows("level", level, "a factor on volatility")
    if levels.shape != forwards.shape:
        raise ParameterError(
            f"level has shape {levels.shape} and forward {forwards.shape}",
            "equal shapes",
            "give one factor a forward",
        )
    rows = _curves(curve, count, forwards.shape[0])
    scale = columns["iv"] * np.sqrt(columns["tau"])
    shape = (count, forwards.shape[1])
    logs = np.empty_like(forwards)
    fill_logs(forwards.reshape(-1), logs.reshape(-1))
    if single:
        return _single(forwards, logs, levels, rows, scale, columns["strike"], calls, coins, out, shape)
    target = target_of(out, shape)
    fill_matrix(forwards, logs, levels, rows, scale, columns["strike"], calls, coins, target)
    target[np.isnan(scale + columns["strike"])] = np.nan
    return target


def _rows(name: str, value: FloatArray, meaning: str, positive: bool = False) -> FloatArray:
    """Return checked rows of scenarios, shape (e, n)."""
    array = as_floats(name, contiguous(np.asarray(value)), meaning, positive=positive)
    if array.ndim not in (1, 2):
        raise ParameterError(
            f"{name} has shape {array.shape}", "(scenarios,) or (expiries, scenarios)", "reshape it"
        )
    return array.reshape(-1, array.shape[-1])


def _curves(curve: IntArray | None, count: int, available: int) -> IntArray:
    """Return the row of the forward of each option."""
    if curve is None:
        return np.zeros(count, dtype=np.int64)
    rows = np.asarray(curve)
    if rows.dtype.kind not in "iu" or rows.shape != (count,) or not ((rows >= 0) & (rows < available)).all():
        raise ParameterError(
            f"curve is {rows.dtype} of shape {rows.shape}",
            f"whole numbers from 0 to {available - 1}, one an option",
            "number the rows of forward from 0",
        )
    return np.ascontiguousarray(rows, dtype=np.int64)


def _single(
    forward: FloatArray,
    logs: FloatArray,
    level: FloatArray,
    curve: IntArray,
    scale: FloatArray,
    strike: FloatArray,
    is_call: BoolArray,
    inverse: BoolArray,
    out: npt.NDArray[Any] | None,
    shape: tuple[int, int],
) -> npt.NDArray[Any]:
    """Return the matrix in float32; the logarithms count from the first strike of each curve."""
    target = np.empty(shape, dtype=np.float32) if out is None else out
    if target.shape != shape or target.dtype != np.float32 or not target.flags.carray:
        raise ParameterError(
            f"out is {target.dtype} of shape {target.shape}",
            f"a writeable, contiguous float32 array of shape {shape}",
            f"use np.empty({shape}, dtype=np.float32)",
        )
    origin, log_strike = np.zeros(forward.shape[0]), np.empty_like(strike)
    strike_logs(strike, curve, origin, log_strike)
    fill_single_matrix(
        forward.astype(np.float32),
        (logs - origin[:, None]).astype(np.float32),
        level.astype(np.float32),
        curve,
        scale.astype(np.float32),
        strike.astype(np.float32),
        log_strike.astype(np.float32),
        is_call,
        inverse,
        target,
    )
    target[np.isnan(scale + strike)] = np.nan
    return target
