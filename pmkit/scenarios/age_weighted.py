"""Age-weighted historical simulation: recent windows count more, by a power of their age."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pmkit.core.errors import ParameterError
from pmkit.core.types import Dynamics, FloatArray
from pmkit.market.history import PriceHistory
from pmkit.market.snapshot import MarketSnapshot
from pmkit.scenarios.draws import Expiries
from pmkit.scenarios.response import DEFAULT_RESPONSE, FactorResponse
from pmkit.scenarios.scenario_set import ScenarioSet
from pmkit.scenarios.windows import WindowDesign

__all__ = ["age_weighted", "age_weights"]


def age_weights(n: int, decay: float = 0.98) -> FloatArray:
    """Return the weights of ``n`` observations, oldest first, sum 1: each ``decay`` times the next.

    Parameters
    ----------
    n : int
        1 or more.
    decay : float
        Above 0 and at most 1; 1 gives equal weights.

    Raises
    ------
    ParameterError
        A value out of range, or a decay so small that the oldest weight vanishes in double precision.

    Notes
    -----
    ``w[i] = decay^(n - 1 - i) (1 - decay) / (1 - decay^n)``.

    References
    ----------
    Boudoukh, Richardson and Whitelaw (1998).

    Examples
    --------
    >>> age_weights(3, 0.5).round(6).tolist()
    [0.142857, 0.285714, 0.571429]
    """
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
        raise ParameterError(f"n is {n!r}", "a whole number, 1 or more", "correct it")
    if isinstance(decay, bool) or not isinstance(decay, (int, float)) or not 0.0 < decay <= 1.0:
        raise ParameterError(f"decay is {decay!r}", "above 0 and at most 1", "0.98 or 0.99 is usual")
    raw = decay ** np.arange(n - 1, -1, -1, dtype=np.float64)
    if raw[0] == 0.0:
        raise ParameterError(
            f"decay {decay:g} leaves the oldest of {n} observations no weight",
            "a decay that uses the whole history",
            "take a decay nearer to 1 or a shorter history",
        )
    return np.asarray(raw / np.add.reduce(raw))


def age_weighted(
    history: PriceHistory,
    snapshot: MarketSnapshot,
    *,
    decay: float = 0.98,
    underlyings: Sequence[str] | None = None,
    horizon: int = 2,
    replications: int = 50,
    response: FactorResponse | str = DEFAULT_RESPONSE,
    dynamics: Dynamics = "sticky_moneyness",
    seed: int = 20260801,
    expiries: Expiries | None = None,
) -> ScenarioSet:
    """Return historical-simulation scenarios whose weights fall with the age of the window.

    Parameters
    ----------
    history, snapshot, underlyings, horizon, replications, response, dynamics, seed, expiries
        As for :func:`historical`; the moves are the same.
    decay : float
        Weight of a window over that of the next newer one; 0.98 and 0.99 are usual.

    Returns
    -------
    ScenarioSet
        Its ``weights`` carry the method: hand them to every measure. ``n_independent`` counts what the
        weights leave of the days, about ``(1 + decay)/(1 - decay)`` over the horizon.

    Raises
    ------
    ParameterError, DataGapError, LookAheadError, ConventionError
        A decay out of range; others as :func:`historical`.

    Warns
    -----
    HistoryEndsWarning
        The history ends more than a day before the snapshot.

    Notes
    -----
    The newest window alone weighs about ``1 - decay``: at 0.98 that is two per cent, so one day can be the
    1 % quantile, and VaR falls in steps as that day ages. VaR is the scenario at which the weight of it and
    the worse ones first exceeds ``1 - level``, not interpolated.

    References
    ----------
    Boudoukh, Richardson and Whitelaw (1998).

    Examples
    --------
    >>> from pmkit.market import MarketSnapshot, load_history
    >>> snap = MarketSnapshot.from_marks("2024-01-01T12:00:00Z", {"BTC": 42_000.0})
    >>> past = load_history("crypto-daily-2020-2023")
    >>> scen = age_weighted(past, snap, underlyings=["BTC"], horizon=1, replications=1)
    >>> float(scen.weights[-1].round(4)), round(scen.n_independent)
    (0.02, 99)
    """
    design = WindowDesign(
        history=history,
        snapshot=snapshot,
        underlyings=underlyings,
        horizon=horizon,
        replications=replications,
        response=response,
        dynamics=dynamics,
        seed=seed,
        expiries=expiries,
    )
    weights = age_weights(design.windows, decay)
    design.warn()
    values = {name: design.returns[name].to_numpy(dtype=np.float64) for name in design.names}
    daily_weights = age_weights(len(design.returns), decay)
    sd = {}
    for name, x in values.items():
        mean = float(np.add.reduce(daily_weights * x))
        sd[name] = float(np.sqrt(np.add.reduce(daily_weights * (x - mean) ** 2)))
    newest = float(weights[-1])
    half = int(np.searchsorted(np.cumsum(weights[::-1]), 0.5)) + 1
    return design.scenarios(
        "age-weighted historical",
        values,
        sd,
        weights,
        method="scenarios.age_weighted",
        spread="the sample's age-weighted standard deviation",
        data={},
        parameters={
            "decay": float(decay),
            "newest_weight": newest,
            "annual_volatility": {n: s * np.sqrt(365.0) for n, s in sd.items()},
        },
        notes=(
            f"weights fall with age by {decay:g} a day: the newest window has {newest:.2%}, half of the "
            f"weight lies on the newest {half} windows; spot moves are unscaled",
        ),
        references=("boudoukh1998",),
    )
