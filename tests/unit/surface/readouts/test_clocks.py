"""Clocks: weighted days, surfaces read at their times, and vols that stay with their own clock."""

from __future__ import annotations

import math
import warnings
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmkit.core.errors import ConventionError, DataGapError, ParameterError, PmkitError
from pmkit.core.protocols import VolSurface
from pmkit.market import load_history
from pmkit.pricing import black76
from pmkit.surface import (
    Clock,
    ClockedSurface,
    ExtrapolationWarning,
    delta_quotes,
    local_vol,
    variance_curve,
    variance_swap,
    weekend_weight,
)
from tests.unit.surface.readout_cases import AS_OF, FAR, NEAR, known

EVENT = AS_OF + pd.Timedelta(days=45)
CLOCK = Clock.weekend(0.4).with_events({EVENT: 3.0})
K = np.linspace(-0.5, 0.5, 11)


def clocked(**changes: object) -> ClockedSurface:
    return ClockedSurface(**{"surface": known(), "clock": CLOCK, **changes})  # type: ignore[arg-type]


def test_days_by_the_second() -> None:
    friday_eight, monday_eight = "2026-11-20T08:00Z", "2026-11-23T08:00Z"
    assert Clock.calendar().days(friday_eight, monday_eight) == pytest.approx(3.0, abs=1e-14)
    # 16 hours of Friday, the weekend, 8 hours of Monday
    assert Clock.weekend(0.4).days(friday_eight, monday_eight) == pytest.approx(1.8, abs=1e-14)
    assert Clock.business().days(friday_eight, monday_eight) == pytest.approx(1.0, abs=1e-14)
    closed = Clock.business(["2026-11-23"])
    assert closed.days(friday_eight, monday_eight) == pytest.approx(16 / 24, abs=1e-14)
    assert closed.days(friday_eight, friday_eight) == 0.0
    assert Clock.weekend(0.4).years(friday_eight, monday_eight) == pytest.approx(1.8 / 365, abs=1e-16)


def test_an_event_counts_from_its_instant_on() -> None:
    noon = Clock.calendar().with_events({"2026-12-09T12:00Z": 2.0, date(2026, 12, 10): 1.0})
    assert noon.days("2026-12-09", "2026-12-09T11:59:59Z") < 0.5
    assert noon.days("2026-12-09", "2026-12-09T12:00Z") == pytest.approx(2.5)
    assert noon.days("2026-12-09T12:00Z", "2026-12-09T18:00Z") == pytest.approx(0.25)
    assert noon.days("2026-12-09", "2026-12-10") == pytest.approx(4.0)
    assert noon.name == "calendar with events" and Clock.calendar().events == {}


@given(st.integers(0, 3_000_000), st.integers(0, 3_000_000), st.integers(0, 3_000_000))
def test_weighted_time_adds_up_and_never_runs_backwards(a: int, b: int, c: int) -> None:
    first, second, third = (AS_OF + pd.Timedelta(seconds=s) for s in sorted((a, b, c)))
    parts = CLOCK.days(first, second), CLOCK.days(second, third)
    assert min(parts) >= 0.0 and sum(parts) == pytest.approx(CLOCK.days(first, third), abs=1e-9)


def test_the_smiles_at_the_expiries_stay_what_they_are() -> None:
    surface = clocked()
    assert isinstance(surface, VolSurface) and surface.model == "known, clock weekend 0.4 with events"
    for days, svi in ((30.0, NEAR), (90.0, FAR)):
        assert surface.w(K, days / 365) == pytest.approx(svi.w(K), rel=1e-13)
    surface.check()
    assert surface.w(K, 0.0) == pytest.approx(np.zeros(11))
    plain = clocked(clock=Clock.calendar())
    times = np.array([0.01, 0.05, 0.1, 0.2])
    assert plain.w(K[:, None], times) == pytest.approx(known().w(K[:, None], times), rel=1e-11)


def test_between_expiries_variance_runs_with_the_weighted_days() -> None:
    surface = clocked()
    for days in (5.0, 31.0, 44.9, 45.0, 60.5, 89.0):
        now = CLOCK.days(AS_OF, AS_OF + pd.Timedelta(days=days))
        first, second = (CLOCK.days(AS_OF, s.expiry) for s in surface.surface.slices)
        if days < 30.0:
            by_hand = NEAR.w(K) * now / first
        else:
            share = (now - first) / (second - first)
            by_hand = NEAR.w(K) * (1 - share) + FAR.w(K) * share
        assert surface.w(K, days / 365) == pytest.approx(by_hand, rel=1e-9)
    jump = surface.w(0.0, 45.0 / 365) - surface.w(0.0, 44.999 / 365)
    first, second = (CLOCK.days(AS_OF, s.expiry) for s in surface.surface.slices)
    assert float(jump) == pytest.approx(float(FAR.w(0.0) - NEAR.w(0.0)) * 3.0 / (second - first), rel=1e-3)


def test_trap_25_vol_and_time_of_one_clock() -> None:
    surface, tau, strike = clocked(), 60.5 / 365, 105.0
    calendar, weighted = float(surface.iv(strike, tau)), float(surface.iv_in_clock(strike, tau))
    own = float(surface.clock_years(tau))
    forward = float(surface.surface.curve.at(tau))
    w = float(surface.w(math.log(strike / forward), tau))
    assert calendar**2 * tau == pytest.approx(w, rel=1e-14) == pytest.approx(weighted**2 * own, rel=1e-14)
    right = black76(forward, strike, tau, calendar)
    assert black76(forward, strike, own, weighted) == pytest.approx(right, rel=1e-13)
    mixed = black76(forward, strike, tau, weighted), black76(forward, strike, own, calendar)
    assert min(abs(m / right - 1.0) for m in mixed) > 0.05


def test_trap_26_beyond_the_last_expiry_the_policy_is_named() -> None:
    with pytest.raises(DataGapError, match="beyond the last expiry"):
        clocked().w(0.0, 0.5)
    with pytest.warns(ExtrapolationWarning, match="without a quote"):
        warned = clocked(outside="warn").w(K, 0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        told = clocked(outside="extend").w(K, 0.5)
    end = AS_OF + pd.Timedelta(days=182.5)
    pace = CLOCK.days(AS_OF, end) / CLOCK.days(AS_OF, AS_OF + pd.Timedelta(days=90))
    assert warned == pytest.approx(told) and told == pytest.approx(FAR.w(K) * pace, rel=1e-12)
    with pytest.raises(ParameterError, match="outside is 'ask'"):
        clocked(outside="ask")


def test_read_outs_take_a_clocked_surface() -> None:
    surface, tau = clocked(), 60.5 / 365
    curve = variance_curve(surface, tau)
    assert curve.source == "formula" and curve.tau == tau
    assert curve.w(K) == pytest.approx(surface.w(K, tau), rel=1e-13)
    assert variance_swap(surface, tau).variance == pytest.approx(variance_swap(curve).strip / tau)
    assert delta_quotes(surface, kind="pa_forward", tau=tau).tau == tau
    # on a Monday variance passes faster than on a Sunday
    sunday, monday = (
        (pd.Timestamp(d, tz="UTC") - AS_OF).total_seconds() / 86_400 / 365
        for d in ("2026-12-06T12:00", "2026-12-07T12:00")
    )
    slow, fast = (float(local_vol(surface, 0.0, t).vol) for t in (sunday, monday))
    assert slow**2 / fast**2 == pytest.approx(0.4, rel=0.01)


def test_display() -> None:
    surface = clocked()
    frame = surface.summary()
    assert frame["clock_days"].to_numpy() == pytest.approx(
        [CLOCK.days(AS_OF, s.expiry) for s in surface.surface.slices]
    )
    assert frame["atm_iv"].iloc[0] == pytest.approx(math.sqrt(float(NEAR.w(0.0)) * 365 / 30))
    assert surface.fingerprint == clocked().fingerprint != clocked(clock=Clock.weekend(0.5)).fingerprint
    assert surface.cite() == ("clark2011",)


def test_check_sees_a_surface_that_reads_elsewhere() -> None:
    class Shifted(ClockedSurface):
        def read_at(self, tau: object) -> np.ndarray:
            return super().read_at(tau) * 0.9  # type: ignore[arg-type]

    with pytest.raises(PmkitError, match="the clock moved the smile"):
        Shifted(surface=known(), clock=CLOCK).check()


def test_expiries_at_one_time_of_the_clock_are_refused() -> None:
    weekend = known({1.0: NEAR, 2.0: FAR})
    with pytest.raises(ParameterError, match=r"no time of the clock 'business' passes before the expiry"):
        ClockedSurface(surface=weekend, clock=Clock.business(["2026-11-20"]))


def test_bad_input() -> None:
    with pytest.raises(ParameterError, match="6 weights of weekdays"):
        Clock(weekday=(1.0,) * 6)
    with pytest.raises(ParameterError, match=r"weight of weekday 5 .* is -0\.4"):
        Clock.weekend(-0.4)
    with pytest.raises(ParameterError, match=r"event of 2026-12-09 .* is nan"):
        Clock.calendar().with_events({"2026-12-09": math.nan})
    with pytest.raises(ConventionError, match="no time zone"):
        Clock.calendar().with_events({"2026-12-09T13:30": 1.0})
    with pytest.raises(ConventionError, match="'soon' is not an instant"):
        Clock.business(["soon"])
    with pytest.raises(ParameterError, match=r"weight of weekday 0 .* is '1'"):
        Clock(weekday=("1",) * 7)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="is before"):
        CLOCK.days("2026-11-21", "2026-11-20")
    with pytest.raises(ParameterError, match="surface of type RawSvi"):
        ClockedSurface(surface=NEAR, clock=CLOCK)  # type: ignore[arg-type]
    for bad in (-0.1, math.inf):
        with pytest.raises(ParameterError, match="0 or more, finite"):
            clocked().w(0.0, bad)
    with pytest.raises(ParameterError, match="tau is 0 years"):
        clocked().iv(100.0, 0.0)
    with pytest.raises(ParameterError, match="strike is -1 USD"):
        clocked().iv(-1.0, 0.1)
    assert np.isnan(clocked().w(0.0, [np.nan, 0.1])).tolist() == [True, False]


def test_weekend_weight_of_real_returns() -> None:
    history = load_history("crypto-daily-2020-2023")
    # a close is stamped with the day that it ends
    found = weekend_weight(np.log(history.prices["BTC"]).diff())
    assert 0.2 < found.weight < 0.9 and 0.0 < found.stderr < 0.2
    assert found.weekdays > 2 * found.weekend_days > 300


def test_weekend_weight_refuses() -> None:
    days = pd.date_range("2024-01-01", periods=140)
    with pytest.raises(ParameterError, match="a Series by date"):
        weekend_weight(pd.Series([0.1, 0.2]))
    with pytest.raises(ParameterError, match="infinite"):
        weekend_weight(pd.Series(np.inf, index=days))
    with pytest.raises(DataGapError, match="4 weekend and 10 weekday returns"):
        weekend_weight(pd.Series(0.01, index=days[:14]))
    with pytest.raises(DataGapError, match="every weekday return is 0"):
        weekend_weight(pd.Series(0.0, index=days))
