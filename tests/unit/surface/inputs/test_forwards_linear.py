"""Forward and discount from premiums in quote currency: exact where clean, robust, and named where not."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmkit.core.errors import ConventionError, DataGapError, ParameterError
from pmkit.market import Quotes, datasets, read_quotes
from pmkit.pricing import black76, black76_inverse
from pmkit.surface import (
    fit,
    forward_curve,
    own_vols,
    parity_bounds,
    parity_forward,
    parity_line,
    vix_forward,
)
from pmkit.surface.inputs.forwards_linear import line_without_stale
from tests.unit.surface.index_chains import AS_OF, SPOT, make_chain, ssvi

STRIKES = np.arange(70.0, 131.0, 2.5)


def quoted(F: float, D: float, half: float = 0.05, sd: float = 0.2) -> list[np.ndarray]:
    c, p = (black76(F, STRIKES, 1.0, sd, df=D, is_call=side) for side in (True, False))
    return [c - half, c + half, p - half, p + half]


def chain(**faults: object) -> tuple[Quotes, dict[pd.Timestamp, tuple[float, float]]]:
    frame, truth = make_chain(**faults)  # type: ignore[arg-type]
    return read_quotes(frame, expiry_time="20:00 UTC"), truth


@pytest.fixture(scope="module")
def spx() -> Quotes:
    return read_quotes(datasets.path("spx-yahoo-2026-07-31"))


@given(st.floats(90.0, 110.0), st.floats(0.6, 1.01), st.floats(0.05, 0.4))
def test_clean_pairs_give_both_exactly(F: float, D: float, sd: float) -> None:
    found = parity_line(STRIKES, *quoted(F, D, sd=sd))
    assert found.price == pytest.approx(F, rel=1e-9) and found.df == pytest.approx(D, rel=1e-8)
    assert found.status == "ok" and found.feasible and found.pairs >= 3
    assert found.lower < F < found.upper and found.df_lower < D < found.df_upper
    assert math.isnan(found.intercept)


def test_pairs_within_one_standard_deviation_are_used() -> None:
    found = parity_line(STRIKES, *quoted(101.0, 0.97, sd=0.1))
    assert found.sd == pytest.approx(0.1, rel=0.05)
    assert found.pairs == int((np.abs(np.log(STRIKES / 101.0)) <= found.sd).sum())
    assert parity_line(STRIKES, *quoted(101.0, 0.97, half=1e-4, sd=0.005)).pairs == 3


@pytest.mark.parametrize(
    "faults",
    [
        {},
        {"missing": 0.2},
        {"missing": 0.3, "tick": 0.1, "spread": 0.02, "seed": 3},
        {"days": (7, 30, 79, 700)},
    ],
    ids=["clean", "missing sides", "coarse", "near and far"],
)
def test_a_simulated_chain_gives_forward_and_discount_back(faults: dict[str, object]) -> None:
    quotes, truth = chain(**faults)
    curve = forward_curve(quotes, "SPX")
    assert set(curve.quotes) == set(truth) and set(curve.status.values()) == {"ok"} and not curve.ledger
    for expiry, (F, D) in truth.items():
        assert curve.quotes[expiry].price == pytest.approx(F, rel=1e-4)
        assert curve.discount(expiry) == pytest.approx(D, abs=5e-4)
        assert curve.quotes[expiry].source == "parity"
    assert curve.spot == SPOT and curve.settlement == "linear"
    table = curve.to_frame()
    assert table["df"].is_monotonic_decreasing and (table["status"] == "ok").all()


def test_stale_quotes_hardly_move_the_estimate_but_fail_it_by_name() -> None:
    quotes, truth = chain(stale=0.2)
    curve = forward_curve(quotes, "SPX")
    assert not curve.quotes and set(curve.status.values()) == {"infeasible"}
    assert {row[1] for row in curve.ledger} == {"parity_infeasible"} and len(curve.ledger) == len(truth)
    assert "parity contradicts bid and ask: off by" in curve.ledger[0][2]
    for expiry, (F, D) in truth.items():
        estimate = curve.parity[expiry]
        assert estimate.price == pytest.approx(F, rel=1e-4) and estimate.df == pytest.approx(D, abs=5e-4)
        assert estimate.slack > 1.0 and estimate.at_fault


def test_stale_pairs_can_be_left_out_and_are_named() -> None:
    quotes, truth = chain(stale=0.03)
    strict, loose = (forward_curve(quotes, "SPX", contradicting=c) for c in ("refuse", "drop"))
    bad = [e for e, status in strict.status.items() if status == "infeasible"]
    assert bad and set(loose.quotes) == set(truth)
    assert [row[1] for row in loose.ledger] == ["stale_pairs"] * len(bad)
    for expiry in bad:
        F, D = truth[expiry]
        assert loose.quotes[expiry].price == pytest.approx(F, rel=1e-4)
        assert loose.discount(expiry) == pytest.approx(D, abs=5e-4)
        here = quotes.frame[quotes.frame["expiry"] == expiry]
        mids = here.pivot(index="strike", columns="is_call", values="mid")
        for strike in loose.parity[expiry].dropped:
            # the quote of a dropped strike really is that of an index 1 % higher
            assert mids.loc[strike, True] - mids.loc[strike, False] > D * (F - strike) + 0.001 * F
            assert f"{strike:g}" in loose.ledger[bad.index(expiry)][2]


def test_no_more_than_a_fifth_is_left_out() -> None:
    quotes = quoted(100.0, 0.98)
    for i in range(6, 18, 2):
        quotes[0][i] += 2.0
        quotes[1][i] += 2.0
    found = line_without_stale(STRIKES, *quotes)
    assert found.status == "infeasible" and not found.dropped


def test_an_estimate_outside_its_bounds_is_moved_to_the_nearest_that_fits() -> None:
    quotes = quoted(100.0, 0.98, half=0.25)
    # all calls lean upwards, and one pair, too wide to weigh, leaves hardly any room there
    quotes[0] += 0.3
    quotes[1] += 0.3
    quotes[0][12] -= 10.0
    quotes[1][12] -= 0.78
    found = parity_line(STRIKES, *quotes)
    value = found.df * (found.price - STRIKES)
    inside = (quotes[0] - quotes[3] - 1e-5 <= value) & (value <= quotes[1] - quotes[2] + 1e-5)
    near = np.abs(np.log(STRIKES / found.price)) <= found.sd
    assert found.status == "repaired" and found.feasible and inside[near].all()


def test_a_known_discount_or_future_leaves_one_number() -> None:
    quotes = quoted(101.0, 0.97)
    assert parity_line(STRIKES, *quotes, df=0.97).price == pytest.approx(101.0, rel=1e-10)
    assert parity_line(STRIKES, *quotes, forward=101.0).df == pytest.approx(0.97, rel=1e-9)
    with pytest.raises(ParameterError, match="df and forward are both given"):
        parity_line(STRIKES, *quotes, df=0.97, forward=101.0)
    with pytest.raises(ParameterError, match=r"df is -1\.0"):
        parity_line(STRIKES, *quotes, df=-1.0)
    with pytest.raises(DataGapError, match="2 call-put pairs; expected at least 3"):
        parity_line(STRIKES[:2], *(q[:2] for q in quotes))


def test_a_discount_factor_out_of_range_is_a_status() -> None:
    found = parity_line(STRIKES, *quoted(100.0, 1.05))
    assert found.status in ("infeasible", "at_bound") and not found.feasible
    # wide quotes do not contradict a factor in range, but the slope leaves it
    wide = parity_line(STRIKES, *quoted(100.0, 1.03, half=3.0))
    assert wide.status == "at_bound" and not wide.feasible and wide.df > 1.02


def test_a_listed_future_takes_the_place_of_parity() -> None:
    quotes, truth = chain()
    first = next(iter(truth))
    F, D = truth[first]
    row = quotes.frame.iloc[[0]].assign(
        instrument="SPX-FUT", kind="future", strike=np.nan, bid=F - 0.1, ask=F + 0.1, mid=F, expiry=first
    )
    listed = replace(quotes, frame=pd.concat([quotes.frame, row], ignore_index=True))
    curve = forward_curve(listed, "SPX")
    assert curve.quotes[first] == (F, "listed future") and curve.discount(first) == pytest.approx(D, abs=2e-4)
    known = forward_curve(listed, "SPX", discount={first: 0.9})
    assert known.discount(first) == 0.9
    assert forward_curve(listed, "SPX", method="parity").quotes[first].source == "parity"
    options = listed.frame["kind"] == "option"
    few = replace(listed, frame=listed.frame[~(options & (listed.frame["expiry"] == first))])
    assert forward_curve(few, "SPX").ledger[0][1] == "no_discount"


def test_a_known_discount_is_used() -> None:
    quotes, truth = chain(spread=0.02)
    curve = forward_curve(quotes, "SPX", discount={e: D for e, (_, D) in truth.items()})
    for expiry, (F, D) in truth.items():
        assert curve.discount(expiry) == D and curve.quotes[expiry].price == pytest.approx(F, rel=2e-5)
    with pytest.raises(ParameterError, match="discount factor of 2026-07-31 is 0"):
        forward_curve(quotes, "SPX", discount={next(iter(truth)): 0.0})
    coin = read_quotes(datasets.path("deribit-btc-2026-08-01"))
    with pytest.raises(ConventionError, match="discount factors for coin-settled options"):
        forward_curve(coin, "BTC", discount={AS_OF: 0.99})


def test_vix_rule_golden() -> None:
    """The two forwards of the worked example of the Cboe methodology (rates are per cent there)."""
    year = 525_600.0
    for K, call, put, rate, minutes, expected in (
        (1965.0, 21.05, 23.15, 0.00031664, 34_484, 1962.8999563733503),
        (1960.0, 27.30, 24.90, 0.00028797, 44_954, 1962.400059112159),
    ):
        df = math.exp(-rate * minutes / year)
        around = [1960.0, K] if K != 1960.0 else [1955.0, K]
        forward, k0 = vix_forward([*around, 1970.0], [31.0, call, 18.0], [20.0, put, 26.0], df=df)
        assert forward == pytest.approx(expected, abs=1e-10) and k0 == 1960.0


def test_vix_rule_on_chains_and_its_bad_input() -> None:
    quotes, truth = chain()
    curve = forward_curve(quotes, "SPX", method="vix")
    for expiry, (F, _) in truth.items():
        assert curve.quotes[expiry].source == "vix rule"
        assert curve.quotes[expiry].price == pytest.approx(F, rel=5e-4)
    coin = forward_curve(read_quotes(datasets.path("deribit-btc-2026-08-01")), "BTC", method="vix")
    listed = forward_curve(read_quotes(datasets.path("deribit-btc-2026-08-01")), "BTC")
    for expiry, quote in coin.quotes.items():
        assert quote.price == pytest.approx(listed.quotes[expiry].price, rel=2e-3)
    assert math.isnan(vix_forward([100.0], [1.0], [5.0])[1])
    with pytest.raises(DataGapError, match="no call-put pair"):
        vix_forward([100.0], [np.nan], [5.0])
    with pytest.raises(ParameterError, match="df is 0"):
        vix_forward([100.0], [1.0], [5.0], df=0.0)
    with pytest.raises(ParameterError, match="method is 'cboe'"):
        forward_curve(quotes, "SPX", method="cboe")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="contradicting is 'keep'"):
        forward_curve(quotes, "SPX", contradicting="keep")  # type: ignore[arg-type]


def test_clean_and_dirty_expiries_of_the_real_chain(spx: Quotes) -> None:
    curve = forward_curve(spx, "SPX")
    assert len(curve.quotes) == 28 and len(curve.ledger) == 21
    assert {row[1] for row in curve.ledger} == {"parity_infeasible"}
    dirty = {row[0]: row[2] for row in curve.ledger}
    assert "off by 87.50 at strikes 7160, 7655" in dirty["SPX 2026-09-30"]
    assert "off by 419.10 at strikes 7365, 8290" in dirty["SPX 2026-12-31"]
    clean = curve.to_frame().set_index("expiry")
    assert clean["df"].between(0.77, 1.002).all() and clean["pairs"].min() >= 4
    assert (clean["lower"] - 1e-3 <= clean["forward"]).all()
    assert (clean["forward"] <= clean["upper"] + 1e-3).all()
    moved = clean[clean["status"] == "repaired"]
    assert [f"{e:%Y-%m-%d}" for e in moved.index] == ["2027-06-30", "2028-06-16"]
    assert (moved["source"] == "parity, moved into its bounds").all()


def test_every_estimate_of_the_real_chain_that_is_used_is_feasible(spx: Quotes) -> None:
    curve = forward_curve(spx, "SPX", contradicting="drop")
    assert len(curve.quotes) == 47
    lost = [row[0] for row in curve.ledger if row[1] == "parity_infeasible"]
    assert lost == ["SPX 2026-12-31", "SPX 2027-03-31"]
    table = curve.to_frame()
    rate = -np.log(table["df"]) / table["tau"]
    assert rate[table["tau"] > 0.3].between(0.041, 0.048).all(), "one smooth curve of rates"


def test_stale_coin_pairs_can_be_left_out_too() -> None:
    quotes = read_quotes(datasets.path("deribit-btc-2026-08-01"))
    frame = quotes.frame[quotes.frame["kind"] != "future"].copy()
    expiry = pd.Timestamp("2026-08-28T08:00Z")
    stale = (frame["expiry"] == expiry) & frame["is_call"] & frame["strike"].isin([62_000.0, 63_000.0])
    frame.loc[stale, ["bid", "ask", "mid"]] += 0.02
    spoilt = replace(quotes, frame=frame)
    assert expiry not in forward_curve(spoilt, "BTC").quotes
    curve = forward_curve(spoilt, "BTC", contradicting="drop")
    assert curve.quotes[expiry].price == pytest.approx(
        forward_curve(quotes, "BTC").quotes[expiry].price, rel=5e-4
    )
    assert curve.parity[expiry].dropped == (62_000.0, 63_000.0)
    assert [row[:2] for row in curve.ledger] == [("BTC 2026-08-28", "stale_pairs")]


def test_the_free_intercept_of_coin_parity_is_a_diagnostic() -> None:
    K = np.arange(50e3, 76e3, 2e3)
    c, p = (black76_inverse(62e3, K, 1.0, 0.3, is_call=side) for side in (True, False))
    found = parity_forward(K, c - 1e-4, c + 1e-4, p - 1e-4, p + 1e-4, start=62e3)
    assert found.intercept == pytest.approx(1.0, abs=1e-9) and found.df == 1.0
    # divided by an index 2 % above the forward instead of the forward, the intercept tells
    wrong = parity_forward(K, c / 1.02, c / 1.02, p / 1.02, p / 1.02, start=62e3)
    assert wrong.intercept == pytest.approx(1.0 / 1.02, abs=1e-9)
    curve = forward_curve(read_quotes(datasets.path("deribit-btc-2026-08-01")), "BTC")
    assert (curve.to_frame()["intercept"] - 1.0).abs().max() < 0.05


def test_trap_16_no_forward_from_american_options() -> None:
    quotes, _ = chain()
    american = replace(quotes, exercise="american")
    for call in (lambda: forward_curve(american, "SPX"), lambda: fit(american, "linear")):
        with pytest.raises(ConventionError, match=r"American options on SPX in frame.*is an inequality"):
            call()


def test_expired_options_are_refused() -> None:
    quotes, truth = chain()
    late = next(iter(truth)) + pd.Timedelta(days=1)
    with pytest.raises(ParameterError, match=r"1 expiries of frame from 2026-07-31.* have passed"):
        forward_curve(quotes, "SPX", as_of=late)
    with pytest.raises(ParameterError, match="have passed"):
        fit(quotes, "linear", as_of=late)


def test_one_side_missing_leaves_no_forward_and_says_so() -> None:
    quotes, truth = chain()
    frame = quotes.frame.copy()
    frame.loc[~frame["is_call"], ["bid", "ask", "mid"]] = np.nan
    curve = forward_curve(replace(quotes, frame=frame), "SPX")
    assert not curve.quotes and set(curve.status.values()) == {"too_few_points"}
    assert curve.ledger[0][1:] == (
        "no_forward",
        "no listed future and 0 call-put pairs, 3 are needed",
    )
    with pytest.raises(DataGapError, match="no expiry of SPX has enough quotes"):
        fit(replace(quotes, frame=frame), "linear")
    assert len(truth) == len(curve.ledger)


# -- own vols -----------------------------------------------------------------------------------------------
def test_vols_of_both_sides_come_back_through_the_discount() -> None:
    quotes, truth = chain(tick=1e-6, spread=1e-7)
    curve = forward_curve(quotes, "SPX")
    vols = own_vols(quotes, curve)
    for expiry, (F, D) in truth.items():
        here = vols.frame[vols.frame["expiry"] == expiry]
        tau = float(here["tau"].iloc[0])
        exact = np.sqrt(ssvi(np.log(here["strike"].to_numpy() / F), tau) / tau)
        near = np.abs(here["k"].to_numpy()) < 2.0 * 0.18 * np.sqrt(tau)
        np.testing.assert_allclose(here["iv"][near], exact[near], atol=2e-4)
        row = here.iloc[0]
        premium = quotes.frame.set_index("instrument").loc[row["instrument"], "mid"]
        assert row["mid"] == pytest.approx(premium / (D * F), rel=1e-5)


def test_a_curve_of_the_other_settlement_is_refused() -> None:
    quotes, _ = chain()
    coin = read_quotes(datasets.path("deribit-btc-2026-08-01"))
    with pytest.raises(ConventionError, match="linear quotes and a curve of inverse ones"):
        own_vols(quotes, forward_curve(coin, "BTC"))


def test_bounds_and_line_agree() -> None:
    quotes = quoted(101.0, 0.97)
    found = parity_line(STRIKES, *quotes)
    band = np.abs(np.log(STRIKES / found.price)) <= found.sd
    bounds = parity_bounds(STRIKES[band], *(q[band] for q in quotes))
    assert (found.lower, found.upper) == (bounds.forward_low, bounds.forward_high)
