"""Walk-forward of one unit of each of many assets: whole blocks of dates at once between two refits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.stats import norm

from pmkit.backtest.walk.as_of import AsOfClock
from pmkit.backtest.walk.filtered import t_quantiles
from pmkit.backtest.walk.forecasters import MODEL_PARAMETERS
from pmkit.backtest.walk.panel_result import PanelWalk
from pmkit.backtest.walk.walk_settings import WalkSettings, check_settings, walk_positions
from pmkit.core.errors import ParameterError, SchemaError
from pmkit.core.provenance import Provenance
from pmkit.core.types import FloatArray
from pmkit.estimation import fit_margin, fit_volatility
from pmkit.estimation.univariate.recursion import filter_variance
from pmkit.market.history import PriceHistory
from pmkit.risk.tail import tail_of

__all__ = ["PANEL_MODELS", "walk_panel"]

#: Models of :func:`walk_forward` that :func:`walk_panel` knows.
PANEL_MODELS = ("hs", "fhs", "evt", "gjr-t", "ewma-normal")

Side = Literal["long", "short"]


def walk_panel(
    history: PriceHistory,
    model: str = "fhs",
    start: Any = None,
    end: Any = None,
    *,
    side: Side = "long",
    window: int = 1000,
    refit_every: int = 250,
    level: float = 0.99,
    es_level: float = 0.975,
    n_paths: int = 5000,
    decay: float | None = None,
    tail_share: float | None = None,
) -> PanelWalk:
    """Return one-day VaR and ES of one unit of each asset for each date, from its past alone.

    Use it for decades of many assets, each a book of its own. The figures are those of :func:`walk_forward`
    for a book of one unit of the asset with ``engine="newton"``, at a fraction of the time.

    Parameters
    ----------
    history : PriceHistory
        Daily closes without gaps.
    model : {"fhs", "hs", "evt", "gjr-t", "ewma-normal"}
    start, end : date, optional
        First and last date of a forecast, both included.
    side : {"long", "short"}
        Sign of the unit held.
    window : int
        Returns that the model uses, the last one ending at the date.
    refit_every : int
        Dates between fits; between them the filter runs on with the parameters held.
    level, es_level : float
        Levels of VaR, and of ES with its own VaR, in (0.5, 1).
    n_paths : int
        Equally probable quantiles of a law that is not the window itself.
    decay : float, optional
        Of ``ewma-normal``, 0.94 where None.
    tail_share : float, optional
        Of ``evt``, 0.10 where None.

    Returns
    -------
    PanelWalk

    Raises
    ------
    ParameterError
        Another model or side, a parameter that the model does not have, arguments outside their domain;
        returns that hardly move.
    DataGapError
        Missing prices, or too few of them.
    SchemaError
        ``history`` is no PriceHistory.

    Notes
    -----
    With σ the volatility of the next day and q the worst quantiles of the standardised law, scenarios are σ·q
    and the P&L of a unit is e^R - 1. A fit that does not converge leaves the parameters before in force.

    References
    ----------
    Barone-Adesi, Giannopoulos and Vosper (1999); McNeil and Frey (2000); J.P. Morgan/Reuters (1996).

    Examples
    --------
    >>> from pmkit.market import load_history
    >>> history = load_history("us-stocks-1990-2022").select(["KO", "XOM"])
    >>> run = walk_panel(history, "hs", "2008-09-01", "2009-03-31", window=500)
    >>> run.hits.sum().to_dict()
    {'KO': 11, 'XOM': 9}
    """
    settings = check_settings(1, window, refit_every, level, es_level, n_paths, 0, 1.0, 0)
    if not isinstance(history, PriceHistory):
        raise SchemaError(
            f"history is a {type(history).__name__}",
            "a PriceHistory",
            "use pm.market.load_history, or PriceHistory.from_frame",
        )
    for what, value, words in (("model", model, PANEL_MODELS), ("side", side, ("long", "short"))):
        if value not in words:
            raise ParameterError(f"{what} is {value!r}", f"one of {', '.join(words)}", "name one of them")
    given = {n: v for n, v in {"decay": decay, "tail_share": tail_share}.items() if v is not None}
    known = MODEL_PARAMETERS.get(model, {})
    for name in given:
        if name not in known:
            raise ParameterError(
                f"{name} is given for model {model!r}", "nothing: it has none", "leave it out"
            )
    numbers = {name: float(given.get(name, known[name])) for name in known}
    if not 0.0 < numbers.get("decay", 0.5) < 1.0:
        raise ParameterError(f"decay is {decay!r}", "a number above 0 and below 1", "0.94 is usual for days")
    names = tuple(map(str, history.prices.columns))
    clock = AsOfClock(history, names)
    positions = walk_positions(clock, start, end, settings)
    clock.check_complete(positions[0] - window, positions[-1] + 1, daily=clock.periods_per_year == 365)
    sign = 1.0 if side == "long" else -1.0
    returns = history.returns(list(names))
    columns: dict[str, dict[str, FloatArray]] = {what: {} for what in ("var", "var_es_level", "es", "sigma")}
    logs = []
    for name in names:
        asset = _Asset(returns[name], positions, settings, sign, model, numbers, clock.periods_per_year)
        figures = np.concatenate([_figures(*block, sign, settings) for block in asset.blocks()], axis=1)
        for what, row in zip(columns, figures, strict=True):
            columns[what][name] = row
        if asset.log is not None:
            logs.append(asset.log.assign(asset=name))
    dates = clock.dates[positions].rename("date")
    closes = history.prices[list(names)].to_numpy(dtype=np.float64)
    came = sign * np.expm1(np.log(closes[np.array(positions) + 1] / closes[positions]))
    return PanelWalk(
        model=model,
        side=side,
        level=settings.level,
        es_level=settings.es_level,
        window=window,
        refit_every=refit_every,
        var=pd.DataFrame(columns["var"], index=dates),
        var_es_level=pd.DataFrame(columns["var_es_level"], index=dates),
        es=pd.DataFrame(columns["es"], index=dates),
        sigma=pd.DataFrame(columns["sigma"], index=dates),
        pnl=pd.DataFrame(came, index=dates, columns=list(names)),
        fits=pd.concat(logs) if logs else pd.DataFrame(),
        provenance=Provenance(
            method=f"backtest.walk_panel {model}",
            data={history.source: history.fingerprint},
            parameters={
                "side": side,
                "window": window,
                "refit_every": refit_every,
                "level": settings.level,
                "es_level": settings.es_level,
                "n_paths": n_paths,
                "start": str(dates[0].date()),
                "end": str(dates[-1].date()),
                **numbers,
            },
            simulated=history.simulated,
        ),
    )


@dataclass
class _Asset:
    """One asset on its way through the dates."""

    series: pd.Series
    positions: list[int]
    settings: WalkSettings
    sign: float
    model: str
    numbers: dict[str, float]
    periods_per_year: int
    log: pd.DataFrame | None = None

    def blocks(self) -> Iterator[tuple[FloatArray, FloatArray, float, int]]:
        """Yield worst quantiles, volatilities, drift and size of the pool for the dates between two fits."""
        known = np.ascontiguousarray(self.series.to_numpy(dtype=np.float64))
        window, step = self.settings.window, self.settings.refit_every
        first, last = self.positions[0], self.positions[-1]
        cuts = list(range(first, last + 1, step))
        fits = None if self.model in ("hs", "ewma-normal") else self._fit(cuts)
        for number, begin in enumerate(cuts):
            end = min(begin + step, last + 1)
            past = known[begin - window : end - 1]  # what is known at the last date of the block
            if fits is None:
                yield self._plain(past, end - begin)
            else:
                yield self._filtered(past, end - begin, *fits[number])

    def _fit(self, cuts: list[int]) -> list[tuple[pd.Series, float]]:
        """Return parameters in force and start of the filter from each fit on.

        Each climb starts anew: one that starts where the fit before it ended may stay at a lower maximum.
        """
        force: list[tuple[pd.Series, float]] = []
        rows = []
        for cut in cuts:
            window = self.series.iloc[cut - self.settings.window : cut]
            fit = fit_volatility(
                window, "gjr", "t", annualisation=self.periods_per_year, covariance=False, engine="newton"
            )
            used = fit.status != "not_converged" or not force
            force.append((fit.params if used else force[-1][0], float(fit.backcast)))
            facts = {"date": window.index[-1], "status": fit.status, "used": used, "loglik": fit.loglik}
            numbers = {str(name): float(value) for name, value in fit.params.items()}
            rows.append({**facts, **numbers, "flags": "; ".join(fit.flags)})
        self.log = pd.DataFrame(rows).set_index("date")
        return force

    def _plain(self, past: FloatArray, dates: int) -> tuple[FloatArray, FloatArray, float, int]:
        window = self.settings.window
        views = np.lib.stride_tricks.sliding_window_view(past, window)[:dates]
        if self.model == "hs":
            return self._lowest(self.sign * views), np.ones(dates), 0.0, window
        weights = self.numbers["decay"] ** np.arange(window - 1, -1, -1.0)
        weights /= np.add.reduce(weights)
        variances = np.add.reduce(weights * (views * views), axis=1)
        grid = (np.arange(self.settings.n_paths) + 0.5) / self.settings.n_paths
        quantiles = norm.ppf(grid)  # symmetric: the worst of a short unit are minus the best
        worst = self._lowest(quantiles[None, :])
        return worst, np.sqrt(variances), 0.0, self.settings.n_paths

    def _filtered(
        self, past: FloatArray, dates: int, p: pd.Series, start: float
    ) -> tuple[FloatArray, FloatArray, float, int]:
        window = self.settings.window
        deviations = past - float(p["mu"])
        variances = np.empty(past.size + 1)
        omega, alpha, gamma, beta = (float(p[name]) for name in ("omega", "alpha", "gamma", "beta"))
        filter_variance(deviations, omega, alpha, gamma, beta, start, variances)
        residuals = deviations / np.sqrt(variances[:-1])
        sigma = np.sqrt(variances[window : window + dates])
        if self.model == "fhs":
            views = np.lib.stride_tricks.sliding_window_view(residuals, window)[:dates]
            return self._lowest(self.sign * views), sigma, 0.0, window
        if self.model == "gjr-t":
            law = t_quantiles(float(p["nu"]), self.settings.n_paths).reshape(-1)
            return self._lowest(law[None, :]), sigma, float(p["mu"]), law.size
        repeats = -(-self.settings.n_paths // window)
        size = window * repeats
        count = self._depth(size)
        grid = (np.arange(count) + 0.5) / size
        margin = fit_margin(residuals[:window], self.numbers["tail_share"])
        worst = margin.quantile(grid) if self.sign > 0 else -margin.quantile(1.0 - grid)
        return worst[None, :], sigma, 0.0, size

    def _depth(self, size: int) -> int:
        """Return how many of the worst scenarios the figures need."""
        return min(size, int(np.ceil(size * (1.0 - min(self.settings.level, self.settings.es_level)))) + 2)

    def _lowest(self, pool: FloatArray) -> FloatArray:
        """Return the lowest entries of each row, ascending."""
        count = self._depth(pool.shape[1])
        if count < pool.shape[1]:
            pool = np.partition(pool, count - 1, axis=1)[:, :count]
        return np.sort(pool, axis=1)


def _figures(
    worst: FloatArray, sigma: FloatArray, drift: float, size: int, sign: float, settings: WalkSettings
) -> FloatArray:
    """Return VaR, VaR at the ES level, ES and the volatility of each date, shape (4, dates)."""
    moves = sigma[:, None] * worst + sign * drift
    losses = -np.expm1(moves) if sign > 0 else np.expm1(-moves)
    out = np.empty((4, sigma.size))
    for row, level in enumerate((settings.level, settings.es_level)):
        at = tail_of(np.zeros(size), level).at  # the same rule for ties and rounding as everywhere
        out[row] = np.maximum(losses[:, at], 0.0)
        if row == 1:
            beyond = np.maximum(losses[:, : at + 1] - losses[:, at : at + 1], 0.0)
            mean = losses[:, at] + np.add.reduce(beyond, axis=1) / size / (1.0 - level)
            out[2] = np.maximum(mean, 0.0)
    out[3] = sigma
    return out
