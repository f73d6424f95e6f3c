"""Forwards: exact on clean pairs, robust to a stale one, honest about bounds, close to listed futures."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.market import datasets, read_quotes
from pmkit.market.quotes import Quotes
from pmkit.pricing import black76_inverse
from pmkit.surface import forward_curve, parity_forward

STRIKES = np.arange(50e3, 76e3, 2e3)


def pairs(
    F: float, sd: float = 0.15, spread: float = 2e-4, strikes: np.ndarray = STRIKES
) -> list[np.ndarray]:
    c, p = (black76_inverse(F, strikes, 1.0, sd, is_call=side) for side in (True, False))
    return [c - spread, c + spread, p - spread, p + spread]


@pytest.fixture(scope="module")
def chain() -> Quotes:
    return read_quotes(datasets.path("deribit-btc-2026-08-01"))


def without_futures(quotes: Quotes) -> Quotes:
    frame = quotes.frame[quotes.frame["kind"] != "future"]
    return Quotes(frame=frame, ledger=quotes.ledger, as_of=quotes.as_of, source="cut")


@given(st.floats(56e3, 70e3), st.floats(0.02, 0.5), st.floats(0.7, 1.4))
def test_clean_pairs_give_the_forward_from_any_start(F: float, sd: float, start: float) -> None:
    found = parity_forward(STRIKES, *pairs(F, sd), start=F * start)
    assert found.price == pytest.approx(F, rel=1e-9)
    assert found.feasible and found.pairs >= 3
    assert found.lower < F < found.upper


def test_only_pairs_within_one_standard_deviation_are_used() -> None:
    found = parity_forward(STRIKES, *pairs(62e3, 0.1), start=62e3)
    assert found.pairs == int((np.abs(np.log(STRIKES / 62e3)) <= found.sd).sum())
    assert found.sd == pytest.approx(0.1, rel=0.05)


def test_one_stale_pair_hardly_moves_the_estimate() -> None:
    quotes = pairs(62e3)
    quotes[0][6] += 0.01
    quotes[1][6] += 0.01
    plain = 1.0 - 0.5 * (quotes[0] + quotes[1]) + 0.5 * (quotes[2] + quotes[3])
    band = np.abs(np.log(STRIKES / 62e3)) <= 0.15
    least_squares = (STRIKES[band] ** 2).sum() / (plain[band] * STRIKES[band]).sum()
    robust = parity_forward(STRIKES, *quotes, start=62e3)
    assert abs(robust.price / 62e3 - 1.0) < 0.2 * abs(least_squares / 62e3 - 1.0)
    assert not robust.feasible, "the stale pair contradicts the others"


def test_a_quote_without_a_side_is_left_out() -> None:
    quotes = pairs(62e3)
    quotes[0][[0, 4]] = np.nan
    assert parity_forward(STRIKES, *quotes, start=62e3).price == pytest.approx(62e3, rel=1e-9)
    with pytest.raises(DataGapError, match="2 call-put pairs; expected at least 3"):
        parity_forward(STRIKES[:2], *pairs(62e3, strikes=STRIKES[:2]), start=62e3)


def test_zero_spreads_do_not_divide_by_zero() -> None:
    assert parity_forward(STRIKES, *pairs(62e3, spread=0.0), start=62e3).price == pytest.approx(
        62e3, rel=1e-9
    )


@pytest.mark.parametrize("start", [0.0, -1.0, np.nan, np.inf])
def test_the_first_guess_is_a_price(start: float) -> None:
    with pytest.raises(ParameterError, match="start is"):
        parity_forward(STRIKES, *pairs(62e3), start=start)


def test_the_listed_future_is_preferred(chain: Quotes) -> None:
    curve = forward_curve(chain, "BTC")
    assert len(curve.quotes) == 13 and {f.source for f in curve.quotes.values()} == {"listed future"}
    mids = chain.frame[chain.frame["kind"] == "future"].set_index("expiry")["mid"]
    assert all(f.price == mids[e] for e, f in curve.quotes.items())
    assert curve.spot == 62_687.75 and not curve.ledger


def test_a_listed_future_away_from_its_options_is_named(chain: Quotes) -> None:
    frame = chain.frame.copy()
    first = frame.loc[frame["kind"] == "future", "expiry"].max()
    row = (frame["kind"] == "future") & (frame["expiry"] == first)
    frame.loc[row, ["bid", "ask", "mid"]] *= 1.05
    curve = forward_curve(Quotes(frame=frame, ledger=chain.ledger, as_of=chain.as_of, source="moved"), "BTC")
    ((name, reason, detail),) = curve.ledger
    assert name == f"BTC {first:%Y-%m-%d}" and reason == "future_outside_parity"
    assert f"the listed future at {curve.quotes[first].price:.2f} is used" in detail


def test_coin_prices_that_allow_no_forward_are_a_status() -> None:
    calls = [1.2, 1.3, 1.2]
    found = parity_forward([50e3, 60e3, 70e3], calls, calls, [0.1] * 3, [0.1] * 3, 60e3)
    assert found.status == "infeasible" and np.isnan(found.price)


@pytest.mark.parametrize(
    ("strikes", "error", "message"),
    [
        ([60e3] * 3, DataGapError, "1 call-put pairs"),
        ([-60e3, 60e3, 62e3], ParameterError, "strike is -60000"),
        ([60e3, 62e3], ParameterError, r"shapes \(2,\) of strike, \(3,\) of call_bid"),
        (["a", "b", "c"], ParameterError, "strike is"),
    ],
)
def test_strikes_that_are_none(strikes: list[object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        parity_forward(strikes, [0.05] * 3, [0.051] * 3, [0.05] * 3, [0.051] * 3, 60e3)  # type: ignore[arg-type]


def test_no_forward_before_the_instant(chain: Quotes) -> None:
    with pytest.raises(ParameterError, match=r"tau is -0\.1 years"):
        forward_curve(chain, "BTC").at([0.1, -0.1])


def test_parity_agrees_with_the_listed_futures_to_five_basis_points(chain: Quotes) -> None:
    table = forward_curve(chain, "BTC").to_frame()
    assert table["difference_bp"].abs().max() < 5.0
    assert table["difference_bp"].abs().median() < 1.5
    assert ((table["lower"] < table["forward"]) & (table["forward"] < table["upper"])).all()


def test_without_futures_parity_stands_in_and_says_so(chain: Quotes) -> None:
    listed, implied = forward_curve(chain, "BTC"), forward_curve(without_futures(chain), "BTC")
    assert {f.source for f in implied.quotes.values()} == {"parity"}
    assert set(implied.quotes) == set(listed.quotes)
    for expiry, quote in implied.quotes.items():
        assert quote.price == pytest.approx(listed.quotes[expiry].price, rel=5e-4)


def test_an_expiry_without_future_and_pairs_goes_to_the_ledger() -> None:
    surface = read_quotes(datasets.path("deribit-btc-2026-05-21"))
    curve = forward_curve(without_futures(surface), "BTC")
    assert not curve.quotes and len(curve.ledger) == 12
    assert curve.ledger[0][1] == "no_forward" and "0 call-put pairs" in curve.ledger[0][2]
    np.testing.assert_allclose(curve.at([0.1, 2.0]), curve.spot)


def test_contradicting_quotes_are_not_used(chain: Quotes) -> None:
    cut = without_futures(chain)
    frame = cut.frame.copy()
    expiry = pd.Timestamp("2026-08-28T08:00Z")
    stale = (frame["expiry"] == expiry) & frame["is_call"] & frame["strike"].isin([62_000.0, 63_000.0])
    frame.loc[stale, ["bid", "ask", "mid"]] += 0.02
    curve = forward_curve(Quotes(frame=frame, ledger=cut.ledger, as_of=cut.as_of, source="cut"), "BTC")
    assert expiry not in curve.quotes and len(curve.quotes) == 12
    assert [row[0] for row in curve.ledger] == ["BTC 2026-08-28"]
    assert "parity contradicts bid and ask" in curve.ledger[0][2]


def test_surface_files_use_their_forward_rows() -> None:
    curve = forward_curve(read_quotes(datasets.path("deribit-eth-2026-05-21")), "ETH")
    assert {f.source for f in curve.quotes.values()} == {"forward row"} and not curve.parity


def test_the_curve_is_log_linear_from_the_spot_and_goes_on(chain: Quotes) -> None:
    curve = forward_curve(chain, "BTC")
    table = curve.to_frame()
    tau, forward = table["tau"].to_numpy(), table["forward"].to_numpy()
    np.testing.assert_allclose(curve.at(tau), forward, rtol=1e-14)
    assert curve.at(0.0) == pytest.approx(curve.spot)
    middle = curve.at(0.5 * (tau[3] + tau[4]))
    assert middle == pytest.approx(np.sqrt(forward[3] * forward[4]), rel=1e-12)
    carry = np.log(forward[-1] / curve.spot) / tau[-1]
    assert np.log(curve.at(2.0) / curve.spot) == pytest.approx(2.0 * carry, rel=1e-12)
    assert np.isnan(curve.at(np.nan))


def test_no_perpetual_no_index(chain: Quotes) -> None:
    frame = chain.frame[chain.frame["kind"] != "perpetual"]
    with pytest.raises(DataGapError, match="no two-sided quote of BTC-PERPETUAL"):
        forward_curve(Quotes(frame=frame, ledger=chain.ledger, as_of=chain.as_of, source="cut"), "BTC")
