"""From a covariance of spot to that of all factors: vol and basis by their response, fixings by the path."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError, SchemaError
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.types import FloatArray
from pmkit.market.history import PriceHistory
from pmkit.market.snapshot import MarketSnapshot
from pmkit.scenarios.draws import Expiries, check_horizon, history_gap_text, underlyings_of
from pmkit.scenarios.factor_covariance import FactorCovariance
from pmkit.scenarios.factors import Factor
from pmkit.scenarios.response import DEFAULT_RESPONSE, FactorResponse, factor_response

__all__ = ["factor_covariance"]


def factor_covariance(
    spot: PriceHistory | pd.DataFrame | Any,
    snapshot: MarketSnapshot,
    *,
    underlyings: Sequence[str] | None = None,
    horizon: int = 1,
    response: FactorResponse | str = DEFAULT_RESPONSE,
    expiries: Expiries | None = None,
) -> FactorCovariance:
    """Return the covariance of spot, vol, basis and fixing moves over a horizon, squared logs.

    Parameters
    ----------
    spot : PriceHistory, DataFrame or CovarianceEstimate
        A history, whose sample covariance of daily log returns is taken; or the covariance of one day itself,
        squared decimals, labelled by underlying.
    snapshot : MarketSnapshot
        Decides underlyings and expiries.
    underlyings : sequence of str, optional
        All of the snapshot where None.
    horizon : int
        Days, 1 or more.
    response : FactorResponse or str
        How vol and basis answer spot, and how large and correlated their residuals are.
    expiries : mapping of str to sequence of Timestamp, optional
        Which expiries get a basis or fixing factor; the forwards of the snapshot where None.

    Returns
    -------
    FactorCovariance

    Raises
    ------
    DataGapError
        A history, matrix or response set without an underlying, or fewer than 30 returns.
    LookAheadError
        The history reaches past the snapshot.
    ParameterError, ConventionError, SchemaError
        A horizon that is not a positive whole number, a history without weekends, or a matrix that is no
        covariance.

    Warns
    -----
    HistoryEndsWarning
        The history ends more than a day before the snapshot.

    Notes
    -----
    Days are independent. With ``S`` the covariance of a day and h days, ``cov(spot_i, spot_j) = h S_ij``;
    ``vol_i = b_i spot_i + e_i`` and ``basis_ie = c_e (g_i spot_i + u_ie)``, residuals independent of spot; a
    fixing at day t is the spot path there, ``cov(fixing_i(t), spot_j) = t S_ij``. Residuals of two expiries
    correlate by ``exp(-decay |ln(d1/d2)|)``, those of two underlyings by one number.

    Examples
    --------
    >>> from pmkit.market import MarketSnapshot, load_history
    >>> snap = MarketSnapshot.from_marks("2024-01-01T12:00:00Z", {"BTC": 42_000.0})
    >>> past = load_history("crypto-daily-2020-2023")
    >>> cov = factor_covariance(past, snap, underlyings=["BTC"])
    >>> [f.label for f in cov.factors], cov.sd.round(3).tolist()
    (['BTC spot', 'BTC vol'], [0.035, 0.05])
    """
    names = (
        underlyings_of(spot, snapshot, underlyings)
        if isinstance(spot, PriceHistory)
        else list(dict.fromkeys(snapshot.underlyings if underlyings is None else underlyings))
    )
    law = factor_response(response) if isinstance(response, str) else response
    if isinstance(spot, PriceHistory):
        h = check_horizon(horizon, spot)
        text, warning = history_gap_text(spot, snapshot)
        if warning is not None:
            warnings.warn(warning, stacklevel=2)
        x = spot.returns(names).to_numpy(dtype=np.float64)
        if len(x) < 30:
            raise DataGapError(f"{len(x)} daily returns", "30 or more", "load a longer history")
        S = _sample(x)
        source, rows = spot.fingerprint, float(len(x))
        notes: tuple[str, ...] = (text, f"sample covariance of {len(x)} days")
        simulated = bool(spot.simulated)
    else:
        if isinstance(horizon, bool) or not isinstance(horizon, int) or horizon < 1:
            raise ParameterError(f"horizon is {horizon!r}", "a whole number of days, 1 or more", "correct it")
        h, S = horizon, _given(spot, names)
        source, rows, notes = fingerprint(S), math.inf, ("the covariance of spot was given",)
        simulated = False
    factors, loadings, residual = _blocks(names, snapshot, law, h, expiries)
    matrix = _assembled(factors, loadings, names, S, residual, snapshot, h)
    return FactorCovariance(
        factors=factors,
        matrix=matrix,
        horizon_days=float(h),
        vol_term=law.vol_term,
        n_independent=rows / h,
        provenance=Provenance(
            method="scenarios.factor_covariance",
            data={"spot": source, "snapshot": snapshot.fingerprint, "response": law.fingerprint},
            parameters={"underlyings": names, "horizon": h, "response": law.id},
            simulated=simulated,
        ),
        notes=(*notes, law.note(snapshot.as_of)),
    )


def _sample(x: FloatArray) -> FloatArray:
    """Return the sample covariance, sums in a fixed order."""
    d = np.ascontiguousarray((x - np.add.reduce(x, axis=0) / len(x)).T)
    n = len(d)
    S = np.empty((n, n))
    for i in range(n):
        for j in range(i + 1):
            S[i, j] = S[j, i] = np.add.reduce(d[i] * d[j]) / (d.shape[1] - 1)
    return S


def _given(spot: Any, names: Sequence[str]) -> FloatArray:
    frame = getattr(spot, "covariance", spot)
    if not isinstance(frame, pd.DataFrame):
        raise SchemaError(
            f"spot is a {type(spot).__name__}",
            "a PriceHistory, a labelled covariance, or a CovarianceEstimate",
            "label the matrix: pandas.DataFrame(S, index=names, columns=names)",
        )
    absent = [n for n in names if n not in frame.index or n not in frame.columns]
    if absent:
        raise DataGapError(
            f"the covariance has no {', '.join(absent)}",
            f"one of {', '.join(map(str, frame.index))}",
            "add it, or name other underlyings",
        )
    return frame.loc[list(names), list(names)].to_numpy(dtype=np.float64)


def _blocks(
    names: Sequence[str],
    snapshot: MarketSnapshot,
    law: FactorResponse,
    horizon: int,
    expiries: Expiries | None,
) -> tuple[tuple[Factor, ...], FloatArray, FloatArray]:
    """Return the factors, what each takes of its own spot, and the residuals' daily covariance."""
    factors: list[Factor] = []
    loadings: list[float] = []
    residual: list[float] = []
    for name in names:
        own = law.of(name)
        factors += [Factor("spot", name), Factor("vol", name)]
        loadings += [1.0, own.vol_slope]
        residual += [0.0, own.vol_residual_sd]
        for expiry in sorted((expiries or {}).get(name, snapshot.market(name).forwards)):
            days = snapshot.days(expiry)
            if days <= 0.0:
                continue
            inside = days <= horizon
            scale = law.basis_scale(days)
            factors.append(Factor("fixing" if inside else "basis", name, expiry))
            loadings.append(1.0 if inside else scale * own.basis_slope)
            residual.append(0.0 if inside else scale * own.basis_residual_sd)
    shared = {"vol": law.vol_residual_correlation, "basis": law.basis_residual_correlation}
    n = len(factors)
    R = np.zeros((n, n))
    for i, a in enumerate(factors):
        for j, b in enumerate(factors):
            if a.kind != b.kind or a.kind not in shared:
                continue
            R[i, j] = 1.0 if a.underlying == b.underlying else shared[a.kind]
            if a.expiry is not None and b.expiry is not None:
                apart = abs(math.log(snapshot.days(a.expiry) / snapshot.days(b.expiry)))
                R[i, j] *= math.exp(-law.basis_expiry_decay * apart)
    sd = np.array(residual)
    return tuple(factors), np.array(loadings), R * np.outer(sd, sd)


def _assembled(
    factors: Sequence[Factor],
    loadings: FloatArray,
    names: Sequence[str],
    S: FloatArray,
    residual: FloatArray,
    snapshot: MarketSnapshot,
    horizon: int,
) -> FloatArray:
    """Return the covariance of all factors: a fixing has lived for its own days, everything else for all."""
    row = np.array([list(names).index(f.underlying) for f in factors])
    lived = np.array(
        [
            float(horizon) if f.kind != "fixing" or f.expiry is None else snapshot.days(f.expiry)
            for f in factors
        ]
    )
    common = np.minimum(lived[:, None], lived[None, :])
    return np.asarray(common * (S[np.ix_(row, row)] * np.outer(loadings, loadings) + residual))
