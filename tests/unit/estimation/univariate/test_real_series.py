"""Volatility on real series of other markets: oil, euro rates, hours of bitcoin."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from arch.data import wti

from pmkit.estimation import asynchronous_correlation, conditional_tail, fit_volatility, rolling_volatility
from pmkit.market import load_history


def test_oil_by_both_engines() -> None:
    """WTI 1986-2018: the day in January 1991 on which the Gulf war began fell by 40.6 %."""
    r = np.log(wti.load().iloc[:, 0].dropna()).diff().dropna().rename("WTI")
    assert len(r) == 8320 and float(r.min()) == pytest.approx(-0.406396, abs=1e-6)
    fits = [
        fit_volatility(r, "gjr", "t", annualisation=252, covariance=False, engine=engine)  # type: ignore[arg-type]
        for engine in ("arch", "newton")
    ]
    assert fits[1].loglik == pytest.approx(20393.80157, abs=1e-4)
    assert -1e-6 <= fits[1].loglik - fits[0].loglik <= 1e-4
    assert fits[1].params["nu"] == pytest.approx(6.0895, abs=2e-3) and fits[1].bars_per_year == 252.0
    tail = conditional_tail(fits[1])
    assert tail.var(0.99) == pytest.approx(0.083996, abs=2e-5)
    low, high = tail.profile(0.99)[0]
    assert low == pytest.approx(0.08029, abs=5e-5) and high == pytest.approx(0.08824, abs=5e-5)


def test_yen_of_the_european_central_bank() -> None:
    rates = load_history("ecb-reference-rates-1999-2026")
    assert rates.periods_per_year == 252 and "1 EUR" in rates.currency
    yen = rates.returns(["JPY"])["JPY"].loc["2005":"2024"]  # type: ignore[misc]
    fit = fit_volatility(yen, "gjr", "t", annualisation=252, engine="newton", covariance=False)
    assert fit.status == "ok" and fit.params["nu"] == pytest.approx(6.40, abs=0.02)
    assert float(fit.annual_sigma.iloc[-1]) == pytest.approx(0.092, abs=0.02)


def test_the_fixing_of_1415_hides_half_of_the_correlation_with_new_york() -> None:
    """Dollar in euro and S&P 500, 2003-2022: -0.11 day by day, -0.21 with the hours taken into account."""
    dollar = -np.log(load_history("ecb-reference-rates-1999-2026").prices["USD"])
    index = np.log(load_history("sp500-index-1990-2022").prices.iloc[:, 0])
    both = pd.concat([dollar.rename("USD"), index.rename("SPX")], axis=1, join="inner").diff().dropna()
    both = both.loc["2003":"2022"]  # type: ignore[misc]
    assert float(both.corr().iloc[0, 1]) == pytest.approx(-0.10602, abs=1e-5)
    closes = {"USD": "14:15 Europe/Berlin", "SPX": "16:00 America/New_York"}
    for method, expected in (("lag", -0.21456), ("two-day", -0.20750)):
        estimate = asynchronous_correlation(both, closes, method=method)  # type: ignore[arg-type]
        assert float(estimate.correlation.iloc[0, 1]) == pytest.approx(expected, abs=1e-4)


@pytest.mark.extra_data
def test_hours_of_bitcoin(extra_data: Path) -> None:
    """33,258 hours, May 2018 to March 2022: integrated, infinite fourth moment, and the day is 24 hours."""
    frame = pd.read_csv(extra_data / "crypto_hourly" / "btc_usd_hourly_2018-05_2022-03.csv.gz")
    index = pd.DatetimeIndex(pd.to_datetime(frame["date"]))
    r = pd.Series(np.log(frame["close"].to_numpy()), index).diff().dropna()
    assert len(r) == 33_258 and float(r.abs().max()) == pytest.approx(0.205483, abs=1e-6)
    fit = fit_volatility(r, "gjr", "t", bar="1h", engine="newton", covariance=False)
    assert fit.bars_per_year == 8760.0 and fit.loglik == pytest.approx(125836.0522, abs=1e-3)
    assert fit.status == "at_bound" and fit.params["nu"] == pytest.approx(3.111, abs=2e-3)
    assert "integrated" in fit.flags[0] and "no fourth moment" in fit.flags[1]
    day = fit.forecast(24)
    assert float(day.total_sigma[-1]) == pytest.approx(0.063428, abs=2e-5)
    assert float(day.to_frame()["annual_total_sigma"].iloc[-1]) == pytest.approx(
        float(day.total_sigma[-1]) * math.sqrt(365.0), rel=1e-9
    )
    run = rolling_volatility(r.iloc[-6000:], 4000, 168, "gjr", "t", bar="1h", check_every=6)
    assert len(run.log) == 12 and (run.log["status"] == "ok").all()
    assert float(run.log["gap"].dropna().min()) > -1e-6
