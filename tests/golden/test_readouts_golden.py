"""Published and independently computed figures of what is read off a surface, digit by digit."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import pandas as pd
import pytest

from pmkit.market.snapshot import ForwardQuote
from pmkit.surface import (
    Clock,
    ClockedSurface,
    ForwardCurve,
    LinearSurface,
    RawSvi,
    SmileSlice,
    VixStrip,
    broker_strangle,
    discrete_variance_swap,
    fit_andreasen_huge,
    implied_density,
    option_delta,
    strike_from_delta,
    variance_swap,
    vix_index,
    vix_strip,
)
from tests.golden.sx5e_2010 import sx5e

# ---- Cboe, worked example of the methodology: mids of the options that enter, strikes as listed below ----
# fmt: off
NEAR_MIDS = (
    "0.2 0.125 0.15 0.225 0.225 0.125 0.125 0.225 0.225 0.175 0.225 0.275 0.175 0.225 0.2 0.25 0.25 0.25 "
    "0.25 0.2 0.25 0.35 0.175 0.275 0.325 0.325 0.3 0.3 0.35 0.35 0.325 0.375 0.375 0.375 0.5 0.425 0.425 "
    "0.425 0.475 0.55 0.525 0.525 0.525 0.525 0.675 0.575 0.625 0.625 0.625 0.675 0.675 0.725 0.725 0.775 "
    "0.675 0.825 0.825 0.875 0.875 0.925 0.975 1.025 1.025 1.075 1.125 1.125 1.175 1.225 1.275 1.325 "
    "1.375 1.425 1.475 1.55 1.6 1.675 1.75 1.825 1.9 2.0 2.075 2.175 2.25 2.375 2.525 2.625 2.775 2.95 "
    "3.075 3.3 3.45 3.65 3.9 4.1 4.35 4.65 4.95 5.25 5.6 6.0 6.4 6.85 7.35 7.9 8.3 9.0 9.65 10.6 11.4 "
    "12.1 13.25 14.15 15.25 16.55 18.25 19.75 22.775 21.05 18.1 15.25 12.75 10.45 8.45 6.65 4.95 3.8 "
    "2.875 2.025 1.45 1.125 0.725 0.525 0.5 0.4 0.25 0.325 0.225 0.175 0.15 0.15 0.25 0.225 0.1 0.2 0.1 "
    "0.1 "
)
NEXT_MIDS = (
    "0.075 0.15 0.15 0.175 0.2 0.25 0.3 0.35 0.4 0.425 0.45 0.475 0.5 0.525 0.55 0.575 0.6 0.625 0.65 "
    "0.675 0.675 0.7 0.725 0.75 0.775 0.8 0.825 0.85 0.875 0.9 0.95 0.975 1.0 1.025 1.075 1.1 1.15 1.2 "
    "1.225 1.275 1.325 1.375 1.425 1.475 1.525 1.6 1.675 1.725 1.8 1.85 1.925 2.0 2.1 2.175 2.275 2.375 "
    "2.475 2.575 2.725 2.825 3.0 3.1 3.25 3.45 3.6 3.8 3.95 4.2 4.4 4.65 4.9 5.15 5.45 5.75 6.05 6.45 "
    "6.75 7.15 7.65 8.15 8.6 9.2 9.75 10.4 11.1 11.8 12.6 13.45 14.4 15.4 16.4 17.6 18.8 20.2 21.6 23.2 "
    "26.1 24.15 21.1 18.3 15.7 13.3 11.1 9.15 7.4 5.85 4.65 3.55 2.7 2.05 1.55 1.15 0.875 0.675 0.575 "
    "0.35 0.25 0.2 0.15 0.1 0.1 0.075 "
)
# fmt: on
NEAR_STRIKES = [k for k in range(1370, 2101, 5) if k not in (1405, 1415)] + [2125]
NEXT_STRIKES = [1275, *range(1325, 1501, 25), 1510, 1520, 1525, 1530, 1540, 1550, *range(1555, 2051, 5)]
NEXT_STRIKES += [2060, 2070, 2075, 2100, 2125, 2150, 2200]
#: calls and puts at and next to the forward, call then put, as bid and ask about the published mids
NEAR_PAIRS = {1960: (24.25, 21.30), 1965: (21.05, 23.15)}
NEXT_PAIRS = {1960: (27.30, 24.90), 1965: (24.15, 26.90)}
#: (bid, ask) of options that the rules leave out although they are listed; puts below, calls above
NEAR_OTHERS = {
    1345: (0.0, 0.15), 1350: (0.05, 0.15), 1355: (0.05, 0.35), 1360: (0.0, 0.35), 1365: (0.0, 0.35),
    1405: (0.0, 0.35), 1415: (0.0, 0.35), 2120: (0.0, 0.15), 2150: (0.0, 0.1), 2175: (0.0, 0.05),
    2225: (0.05, 0.1), 2250: (0.0, 0.05),
}  # fmt: skip


def chain(
    strikes: list[int],
    mids: str,
    pairs: dict[int, tuple[float, float]],
    others: dict[int, tuple[float, float]],
) -> tuple[np.ndarray, ...]:
    """Return strike and bids and asks of calls and puts; the side in the money is bid by parity."""
    quotes = {k: (0.5 * q, 1.5 * q) for k, q in zip(strikes, map(float, mids.split()), strict=True)} | others
    rows = []
    for k in sorted(quotes):
        if k in pairs:
            call, put = ((0.99 * p, 1.01 * p) for p in pairs[k])
        else:
            other = (abs(1962.9 - k) + quotes[k][1], abs(1962.9 - k) + quotes[k][1] + 1.0)
            call, put = (other, quotes[k]) if k < 1960 else (quotes[k], other)
        rows.append((float(k), *call, *put))
    return tuple(np.array(rows).T)


def near_term(rate: float = 0.031664, unit: str = "percent") -> VixStrip:
    quotes = chain(NEAR_STRIKES, NEAR_MIDS, NEAR_PAIRS, NEAR_OTHERS)
    return vix_strip(*quotes, minutes=34_484, rate=rate, rate_unit=unit)  # type: ignore[arg-type]


def next_term(rate: float = 0.028797, unit: str = "percent") -> VixStrip:
    quotes = chain(NEXT_STRIKES, NEXT_MIDS, NEXT_PAIRS, {})
    return vix_strip(*quotes, minutes=44_954, rate=rate, rate_unit=unit)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("strip", "strikes", "forward", "total", "printed", "variance"),
    [
        (near_term, NEAR_STRIKES, 1962.8999563733503, 0.000632051594150929,
         (0.0006320516, 0.019267, 0.00003337, 0.019233906), 0.0192339064805106),
        (next_term, NEXT_STRIKES, 1962.400059112159, 0.000831401640362731,
         (0.0008314016, 0.019441, 0.00001753, 0.019423884), 0.0194238842792965),
    ],
)  # fmt: skip
def test_s22_strip_of_the_worked_example(strip, strikes, forward, total, printed, variance) -> None:  # type: ignore[no-untyped-def]
    one = strip()
    assert one.strike.tolist() == strikes and one.k0 == 1960.0
    assert one.forward == pytest.approx(forward, rel=1e-15)
    assert one.total == pytest.approx(total, rel=1e-12)
    assert one.variance == pytest.approx(variance, rel=1e-12)
    shown = (one.total, 2.0 / one.tau * one.total, one.correction, one.variance)
    assert [round(x, d) for x, d in zip(shown, (10, 6, 8, 9), strict=True)] == list(printed)


def test_s22_index_of_the_worked_example() -> None:
    index = vix_index(near_term(), next_term())
    assert index.index == pytest.approx(13.927842350137642, rel=1e-13)
    assert round(index.index, 2) == 13.93 and round(index.vol, 8) == 0.13927842
    index.check()


def test_s22_excluded_strikes_are_excluded_by_the_rule() -> None:
    one = near_term()
    reasons = {(k, side): why for k, side, why in one.ledger}
    stopped = "beyond two consecutive strikes without a bid"
    assert reasons == {
        (1345.0, "put"): stopped, (1350.0, "put"): stopped, (1355.0, "put"): stopped,
        (1360.0, "put"): "no bid", (1365.0, "put"): "no bid",
        (1405.0, "put"): "no bid", (1415.0, "put"): "no bid",
        (2120.0, "call"): "no bid", (2150.0, "call"): "no bid", (2175.0, "call"): "no bid",
        (2225.0, "call"): stopped, (2250.0, "call"): stopped,
    }  # fmt: skip


def test_trap_17_vix_widths_come_from_surviving_strikes() -> None:
    near, far = near_term(), next_term()
    width = dict(zip(near.strike, near.delta_k, strict=True)) | {0.0: 0.0}
    assert [width[k] for k in (1370.0, 1400.0, 1410.0, 1420.0, 2100.0, 2125.0)] == [5, 7.5, 10, 7.5, 15, 25]
    width = dict(zip(far.strike, far.delta_k, strict=True))
    assert (width[1275.0], width[1325.0]) == (50.0, 37.5)


def test_trap_17_vix_rate_in_per_cent_is_not_a_decimal() -> None:
    right = near_term(0.031664, "percent")
    same = near_term(0.00031664, "decimal")
    assert same.variance == right.variance and right.rate == pytest.approx(0.00031664)
    wrong = near_term(0.031664, "decimal")
    assert abs(wrong.forward - right.forward) > 0.004
    assert abs(wrong.variance / right.variance - 1.0) > 1e-3


# ---- replication ------------------------------------------------------------------------------------------
SSVI = RawSvi(a=0.04 * (1 - 0.09) / 2, b=0.05, rho=-0.3, m=0.3 / 2.5, sigma=math.sqrt(1 - 0.09) / 2.5)
REPAIRED = RawSvi(
    a=0.0077409124203656, b=0.0692420344889369, rho=-0.334036480611479, m=0.0420337452295845,
    sigma=0.118607802913272,
)  # fmt: skip


@pytest.mark.parametrize(("svi", "published"), [(SSVI, 0.043481019976272), (REPAIRED, 0.023563529838819)])
def test_s13_log_contract_by_strip_and_by_average(svi: RawSvi, published: float) -> None:
    swap = variance_swap(svi, 1.0)
    assert swap.strip == pytest.approx(published, rel=1e-13)
    assert swap.average == pytest.approx(published, rel=1e-13)
    assert swap.monotone and swap.variance == swap.strip
    # the third way: the density itself, E[-2 ln(S/F)]
    density = implied_density(svi)
    k = np.linspace(density.low, density.high, 400_001)
    assert float(np.trapezoid(-2.0 * k * density.at(k), k)) == pytest.approx(published, rel=1e-8)


def test_s13_discrete_strip_of_derman_kamal_and_zou() -> None:
    strike = np.arange(50.0, 136.0, 5.0)
    vol = 0.30 - 0.01 * np.arange(strike.size)
    tau = 0.246575
    swap = discrete_variance_swap(100.0 * math.exp(0.05 * tau), strike, vol, tau, anchor=100.0)
    assert swap.variance == pytest.approx(0.04189, abs=1e-4)
    assert swap.variance == pytest.approx(0.0418885252, abs=1e-10)


# ---- clocks -----------------------------------------------------------------------------------------------
AS_OF = pd.Timestamp("2026-11-20T00:00Z")
EXPIRIES = {pd.Timestamp("2026-11-27T00:00Z"): 0.55, pd.Timestamp("2026-12-25T00:00Z"): 0.60}


def two_flat_smiles() -> LinearSurface:
    slices = []
    for expiry, vol in EXPIRIES.items():
        tau = (expiry - AS_OF).days / 365
        points = np.array([-0.1, 0.1])
        slices.append(SmileSlice(expiry=expiry, tau=tau, forward=100.0, k=points, w=np.full(2, vol**2 * tau)))
    curve = ForwardCurve(
        underlying="X", spot=100.0, as_of=AS_OF, quotes={e: ForwardQuote(100.0, "given") for e in EXPIRIES},
        parity={}, ledger=(),
    )  # fmt: skip
    return LinearSurface(slices=tuple(slices), curve=curve)


def test_s17_weighted_time_and_vols() -> None:
    clock = Clock.weekend(0.4).with_events({date(2026, 12, 9): 2.0})
    surface = ClockedSurface(surface=two_flat_smiles(), clock=clock)
    assert [clock.days(AS_OF, e) for e in EXPIRIES] == [5.8, 31.0]
    published = {
        "2026-12-04": (11.6, 0.5688421127, 0.5817538139),
        "2026-12-08": (14.4, 0.5624777087, 0.5885776169),
        "2026-12-11": (19.4, 0.6084610651, 0.5919600212),
    }
    for day, (days, vol, calendar_vol) in published.items():
        tau = (pd.Timestamp(day, tz="UTC") - AS_OF).days / 365
        assert clock.days(AS_OF, day) == pytest.approx(days, abs=1e-12)
        assert float(surface.clock_years(tau)) == pytest.approx(days / 365, rel=1e-14)
        assert float(surface.iv(100.0, tau)) == pytest.approx(vol, abs=5e-11)
        assert float(surface.surface.iv(100.0, tau)) == pytest.approx(calendar_vol, abs=5e-11)


# ---- deltas -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("spot", "df_domestic", "df_foreign", "sd", "size", "strikes"),
    [
        (1.421, 0.997306, 0.992266, 0.1180654, 0.15, (1.608080, 1.600545, 1.609029, 1.601550)),
        (122.121, 0.9695434, 0.9872347, 0.0887676, 0.67, (119.8031, 117.7096, 120.0592, 118.0532)),
    ],
)
def test_s19_strikes_of_the_four_deltas(
    spot: float, df_domestic: float, df_foreign: float, sd: float, size: float, strikes: tuple[float, ...]
) -> None:
    forward = spot * df_foreign / df_domestic
    for kind, published in zip(("spot", "pa_spot", "forward", "pa_forward"), strikes, strict=True):
        found = strike_from_delta(size, forward, 1.0, sd, kind=kind, df_foreign=df_foreign)  # type: ignore[arg-type]
        # one published figure stops at the tolerance of its solver
        assert found == pytest.approx(published, rel=3e-5 if kind == "pa_spot" else 1e-6)
        assert option_delta(forward, found, 1.0, sd, kind=kind, df_foreign=df_foreign) == pytest.approx(
            size, abs=1e-14
        )  # type: ignore[arg-type]


def test_s21_broker_strangle() -> None:
    forward = 1.3465 * 0.966001 / 0.971049
    one = broker_strangle(forward, 1.0, 0.1825, 0.0095, kind="spot", df_foreign=0.966001)
    assert one.iv == pytest.approx(0.192)
    assert (one.put_strike, one.call_strike) == pytest.approx((1.2050, 1.5449), abs=1e-4)
    assert forward * math.exp(0.1825**2 / 2) == pytest.approx(1.3620, abs=1e-4)


def test_p04_delta_of_a_coin_option_is_the_premium_adjusted_forward_delta() -> None:
    arguments = (60_000.0, 65_000.0, 30 / 365, 0.55)
    assert option_delta(*arguments, kind="forward") == pytest.approx(0.33403906452476, rel=1e-13)
    assert option_delta(*arguments, kind="pa_forward") == pytest.approx(0.30201251275912, rel=1e-13)


# ---- non-parametric surfaces ------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("shape", "largest", "average"), [("linear", 0.0020, 0.00015), ("constant", 0.0025, 0.00025)]
)
def test_s23_andreasen_huge_on_their_own_table(shape: str, largest: float, average: float) -> None:
    points = sx5e()
    assert sum(s.k.size for s in points.slices) == 155 and len(points.slices) == 12
    found = fit_andreasen_huge(points, shape=shape)  # type: ignore[arg-type]
    error = np.abs(np.concatenate([s.error for s in found.slices]))
    assert error.size == 155 and error.max() < largest and error.mean() < average
    found.check()
    # all but the two longest expiries are met to rounding; there the quotes fall in time
    assert max(float(np.abs(s.error).max()) for s in found.slices[:9]) < 1e-11
    assert set(found.status["status"]) == {"ok", "at_bound"}
