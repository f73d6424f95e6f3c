"""Rolling re-estimation: no look-ahead bit for bit, warm against cold, the audit log, floors and caps."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pmkit.estimation.univariate.refit_rolling as refit_rolling
from pmkit.core.errors import ConventionError, DataGapError, ParameterError
from pmkit.core.random import stream
from pmkit.estimation import fit_volatility, rolling_volatility
from pmkit.estimation.univariate.newton_fit import fit_newton
from pmkit.estimation.univariate.recursion import start_variance


@pytest.fixture(scope="module")
def bitcoin(root: Path) -> pd.Series:
    frame = pd.read_csv(root / "data" / "crypto_daily_close_2020_2023.csv.gz", index_col=0, parse_dates=True)
    return np.log(frame["BTC-USD"]).diff().dropna().rename("BTC")


def simulated(seed: int, rows: int, omega: float = 1e-5) -> pd.Series:
    z = stream(seed, "refit").standard_t(6, rows) * math.sqrt(4 / 6)
    y, h = np.empty(rows), 1e-4
    for t in range(rows):
        y[t] = math.sqrt(h) * z[t]
        h = omega + (0.05 + 0.08 * (y[t] < 0)) * y[t] ** 2 + 0.8 * h
    return pd.Series(y, pd.date_range("2015-01-01", periods=rows), name="simulated")


CASES = [
    {"model": "gjr", "dist": "t"},
    {"model": "garch", "dist": "normal", "mean": "zero"},
    {"model": "gjr", "dist": "normal", "floor": 0.15, "cap": 0.25},
    {"model": "tarch", "dist": "t", "check_every": 2},
    {"model": "riskmetrics2006", "dist": "normal"},
]


@pytest.mark.parametrize("case", CASES)
def test_the_future_changes_nothing_before_it(case: dict[str, object]) -> None:
    """Every number up to a date keeps every bit when later returns change or are absent."""
    r = simulated(1, 520)
    arguments = {"window": 300, "refit_every": 35, "check_every": 3, **case}
    run = rolling_volatility(r, **arguments)  # type: ignore[arg-type]
    run.check()
    for cut in (335, 401, 460):
        changed = r.copy()
        changed.iloc[cut:] = -3.0 * changed.iloc[cut:] + 0.001
        other = rolling_volatility(changed, **arguments)  # type: ignore[arg-type]
        shorter = rolling_volatility(r.iloc[:cut], **arguments)  # type: ignore[arg-type]
        known = cut - 300
        assert (
            run.sigma.iloc[: known + 1].to_numpy().tobytes()
            == other.sigma.iloc[: known + 1].to_numpy().tobytes()
        )
        assert run.sigma.iloc[:known].to_numpy().tobytes() == shorter.sigma.to_numpy().tobytes()
        assert run.sigma.iloc[known] == shorter.next_sigma
        assert (
            run.residuals.iloc[:known].to_numpy().tobytes()
            == other.residuals.iloc[:known].to_numpy().tobytes()
        )
        fits = len(shorter.log)
        pd.testing.assert_frame_equal(run.log.iloc[:fits], shorter.log, check_exact=True)
        pd.testing.assert_frame_equal(run.params.iloc[:fits], other.params.iloc[:fits], check_exact=True)
        assert not run.sigma.iloc[known + 1 :].equals(other.sigma.iloc[known + 1 :])


def test_forecasts_equal_a_plain_walk(bitcoin: pd.Series) -> None:
    """Refit by hand: a cold fit on each window, a loop of the recursion between the fits."""
    run = rolling_volatility(bitcoin, 1000, 120, "garch", "normal", check_every=None)
    values = bitcoin.to_numpy()
    for at in range(1000, len(values), 120):
        window = values[at - 1000 : at]
        start = start_variance(window - window.mean())
        fit = fit_newton(window, "garch", "normal", "constant", start)
        mu, omega, alpha, _, beta, _ = fit.theta
        h = omega + (alpha + beta) * start
        for t in range(at - 1000, min(at + 120, len(values))):
            if t >= at:
                assert run.sigma.iloc[t - 1000] == pytest.approx(math.sqrt(h), rel=1e-4)
                assert run.residuals.iloc[t - 1000] == pytest.approx(
                    (values[t] - mu) / math.sqrt(h), rel=1e-2, abs=1e-3
                )
            h = omega + alpha * (values[t] - mu) ** 2 + beta * h
        row = run.log.loc[bitcoin.index[at - 1]]
        assert row["loglik"] == pytest.approx(fit.loglik, abs=1e-6)
    assert (run.log["start"] == "cold").all()  # 120 new returns are reason enough to look for other maxima


def test_last_fit_is_that_of_fit_volatility(bitcoin: pd.Series) -> None:
    r = bitcoin.iloc[-1100:]
    run = rolling_volatility(r, 1000, 50, check_every=None)
    single = fit_volatility(r.iloc[-1000:], engine="newton", covariance=False)
    assert run.next_sigma == pytest.approx(single.next_sigma, rel=1e-4)
    assert run.log["loglik"].iloc[-1] == pytest.approx(single.loglik, abs=1e-6)
    assert run.params.index[-1] == r.index[-1] and len(run.params) == 3


def test_warm_walk_never_falls_below_arch(bitcoin: pd.Series) -> None:
    """Every fifth fit is compared with a cold arch fit; what arch breaks of its constraints is logged."""
    run = rolling_volatility(bitcoin, 1000, 8, "garch", "t", check_every=5)
    checks = run.checks
    assert len(checks) == len(range(0, len(run.log), 5)) and checks["arch_loglik"].notna().all()
    assert (checks["gap"] >= -1e-6 - 1e3 * checks["arch_breach"]).all()
    assert (checks["gap"][checks["arch_breach"] == 0.0] >= -1e-6).all()
    assert run.log["arch_loglik"].notna().sum() == len(checks)
    assert run.log["evaluations"][run.log["start"] == "warm"].mean() < 6.0


def test_better_maximum_of_arch_is_adopted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A walk stuck at a poor point is set right at the next check, and goes on from there."""
    r = simulated(3, 460)
    honest = refit_rolling.refit_windows
    stuck = np.array([0.0, 8e-5, 0.3, 0.0, 0.1, 0.0])

    def spoiled(y, first, last, *rest):  # type: ignore[no-untyped-def]
        honest(y, first, last, *rest)
        params, logliks = rest[6], rest[8]
        params[:] = stuck
        logliks[:] = logliks - 5.0

    monkeypatch.setattr(refit_rolling, "refit_windows", spoiled)
    run = rolling_volatility(r, 400, 20, "garch", "normal", mean="zero", check_every=2)
    assert run.log["adopted"].tolist() == [True, False, True, False]
    assert (run.log["gap"][run.log["adopted"]] >= -1e-6).all()
    assert run.params["alpha"].iloc[1] == 0.3 and run.params["alpha"].iloc[2] != 0.3


def test_failed_fit_is_logged_and_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    r = simulated(4, 460)
    honest = refit_rolling.refit_windows

    def failing(y, first, last, *rest):  # type: ignore[no-untyped-def]
        honest(y, first, last, *rest)
        rest[9][last == 440, 0] = 2  # the outcome of one window: out of evaluations

    monkeypatch.setattr(refit_rolling, "refit_windows", failing)
    run = rolling_volatility(r, 400, 20, "garch", "normal", check_every=None)
    assert run.log["used"].tolist() == [True, True, False, True]
    assert run.failures["status"].tolist() == ["not_converged"]
    assert run.params.iloc[2].equals(run.params.iloc[1]) and not run.params.iloc[3].equals(run.params.iloc[1])
    assert run.summary().loc["not used", "value"] == 1.0
    run.check()

    monkeypatch.setattr(
        refit_rolling, "refit_windows", lambda *a: (honest(*a), a[12].__setitem__((slice(None), 0), 3))
    )
    with pytest.raises(ParameterError, match="garch-normal on the first 400 returns: not_converged"):
        rolling_volatility(r, 400, 20, "garch", "normal", check_every=None)


def test_floor_and_cap_bound_the_forecast_and_not_the_recursion() -> None:
    r = simulated(5, 500)
    free = rolling_volatility(r, 300, 50, check_every=None)
    low, high = float(free.annual_sigma.quantile(0.3)), float(free.annual_sigma.quantile(0.8))
    bound = rolling_volatility(r, 300, 50, check_every=None, floor=low, cap=high)
    inside = bound.bounded == 0
    assert bound.sigma[inside].equals(free.sigma[inside]) and 0.4 < inside.mean() < 0.6
    np.testing.assert_allclose(bound.annual_sigma[bound.bounded < 0], low)
    np.testing.assert_allclose(bound.annual_sigma[bound.bounded > 0], high)
    table = bound.summary()["value"]
    assert table["floor applied"] == (bound.bounded < 0).sum() and table["cap applied"] > 0
    bound.check()


@settings(max_examples=8)
@given(st.integers(0, 999), st.integers(1, 60))
def test_any_refit_step_serves_every_bar(seed: int, step: int) -> None:
    r = simulated(seed, 230)
    run = rolling_volatility(r, 150, step, "garch", "normal", check_every=None)
    assert len(run.sigma) == 80 and run.sigma.notna().all() and (run.sigma > 0).all()
    assert len(run.log) == len(range(150, 231, step))
    run.check()


def test_engines_agree(bitcoin: pd.Series) -> None:
    own = rolling_volatility(bitcoin.iloc[:700], 500, 60, "garch", "normal")
    theirs = rolling_volatility(bitcoin.iloc[:700], 500, 60, "garch", "normal", engine="arch", check_every=2)
    np.testing.assert_allclose(own.sigma, theirs.sigma, rtol=5e-3)
    np.testing.assert_allclose(own.log["loglik"], theirs.log["loglik"], atol=1e-4)
    assert theirs.engine == "arch" and theirs.checks["gap"].min() > -1e-6


def test_hourly_walk() -> None:
    r = simulated(6, 420)
    r.index = pd.date_range("2023-01-01", periods=420, freq="h")
    run = rolling_volatility(r, 300, 24, "garch", "normal", bar="1h", check_every=None)
    assert run.bars_per_year == 8760.0
    assert run.annual_sigma.iloc[0] == pytest.approx(run.sigma.iloc[0] * math.sqrt(8760))


def test_display_is_deterministic() -> None:
    r = simulated(7, 400)
    one, two = (rolling_volatility(r, 300, 50, check_every=2) for _ in range(2))
    assert repr(one) == repr(two) and one.provenance.id == two.provenance.id
    assert one.to_dict() == two.to_dict() and one.cite() == ("glosten1993",)
    assert list(one.to_frame().columns) == ["return", "sigma", "residual", "bounded"]


GOOD = simulated(8, 200)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"window": 200}, DataGapError, "200 returns; expected more than the window of 200"),
        ({"window": 99}, ParameterError, "window is 99; expected a whole number, 100 or more"),
        ({"refit_every": 0}, ParameterError, "refit_every is 0"),
        ({"refit_every": 2.5}, ParameterError, "refit_every is 2.5"),
        ({"check_every": 0}, ParameterError, "check_every is 0"),
        ({"floor": 30.0}, ParameterError, "looks like percent"),
        ({"floor": 0.5, "cap": 0.4}, ParameterError, "floor below cap"),
        ({"cap": -1.0}, ParameterError, "cap is -1.0"),
        ({"floor": "low"}, ParameterError, "floor is 'low'"),
        ({"model": "egarch", "engine": "newton"}, ConventionError, "engine 'newton' for egarch-t"),
        ({"bar": "1h"}, ConventionError, "the bar is 1h"),
        ({"dist": "ged"}, ParameterError, "dist is 'ged'"),
    ],
)
def test_bad_arguments(arguments: dict[str, object], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        rolling_volatility(GOOD, **{"window": 150, **arguments})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("returns", "text"),
    [
        (20_000 * np.exp(GOOD.cumsum()), "look like prices or percent"),
        (GOOD.where(GOOD.index != GOOD.index[3]), "not finite, first nan at 2015-01-04"),
        (GOOD.where(np.arange(200) > 150, 0.0), "nearly constant"),
    ],
)
def test_bad_returns(returns: pd.Series, text: str) -> None:
    with pytest.raises(ParameterError, match=text):
        rolling_volatility(returns, 150)


def test_a_fit_that_got_lost_is_not_used(bitcoin: pd.Series) -> None:
    # the optimiser of egarch reports success two million below the log-likelihood of a constant variance
    run = rolling_volatility(bitcoin.iloc[140:560], 365, 20, "egarch", "normal", check_every=None)
    window = len(run.returns) + 365
    assert window == 420
    for date, row in run.log[run.log["used"]].iterrows():
        known = bitcoin.loc[:date].iloc[-365:]  # type: ignore[misc]
        constant = -0.5 * 365 * (math.log(2.0 * math.pi * float(known.var(ddof=0))) + 1.0)
        assert row["loglik"] > constant - 1.0
    assert len(run.failures) and set(run.failures["status"]) == {"not_converged"}
    assert float(run.params["mu"].abs().max()) < 0.05
