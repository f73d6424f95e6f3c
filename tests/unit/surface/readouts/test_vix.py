"""The Cboe strip: selection, forward, widths, units, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from pmkit.core.errors import ConventionError, DataGapError, ParameterError
from pmkit.pricing import black76
from pmkit.surface import VixStrip, minutes_to, variance_swap, vix_strip
from tests.unit.surface.readout_cases import NEAR

STRIKES = np.arange(70.0, 131.0, 5.0)


def quotes(
    strike: np.ndarray = STRIKES, forward: float = 101.0, tau: float = 30 / 365
) -> dict[str, np.ndarray]:
    """Return bids and asks two cents wide about Black prices on the smile NEAR, no discount."""
    sd = np.sqrt(NEAR.w(np.log(strike / forward)))
    call, put = (np.asarray(black76(forward, strike, 1.0, sd, is_call=side)) for side in (True, False))
    return {
        "strike": strike,
        "call_bid": np.maximum(call - 0.01, 0.001),
        "call_ask": call + 0.01,
        "put_bid": np.maximum(put - 0.01, 0.001),
        "put_ask": put + 0.01,
    }


def strip(**changes: Any) -> VixStrip:
    given: dict[str, Any] = {**quotes(), "minutes": 43_200.0, "rate": 0.0, "rate_unit": "decimal"}
    return vix_strip(**{**given, **changes})


def without_bid(side: str, *strikes: float) -> dict[str, np.ndarray]:
    table = quotes()
    bid = table[f"{side}_bid"].copy()
    bid[np.isin(STRIKES, strikes)] = 0.0
    return {f"{side}_bid": bid}


def test_a_dense_strip_tends_to_the_variance_swap() -> None:
    dense = np.exp(np.linspace(-3.0, 3.0, 4001)) * 101.0
    sd = np.sqrt(NEAR.w(np.log(dense / 101.0)))
    call, put = (np.asarray(black76(101.0, dense, 1.0, sd, is_call=side)) for side in (True, False))
    one = vix_strip(dense, call, call, put, put, minutes=43_200, rate=0.0, rate_unit="decimal")
    assert one.forward == pytest.approx(101.0, rel=1e-12) and one.ledger == ()
    assert one.variance == pytest.approx(variance_swap(NEAR, 30 / 365).variance, rel=2e-5)


def test_interior_zero_bids_are_skipped_and_two_in_a_row_stop_the_side() -> None:
    whole = strip()
    assert whole.k0 == 100.0 and whole.strike.tolist() == STRIKES.tolist() and whole.ledger == ()
    skipped = strip(**without_bid("put", 90.0, 80.0))
    assert skipped.strike.tolist() == [70.0, 75.0, 85.0, 95.0, *range(100, 131, 5)]
    assert skipped.ledger == ((80.0, "put", "no bid"), (90.0, "put", "no bid"))
    stopped = strip(**without_bid("put", 90.0, 85.0))
    assert stopped.strike[0] == 95.0 and [row[0] for row in stopped.ledger] == [70.0, 75.0, 80.0, 85.0, 90.0]
    calls = strip(**without_bid("call", 115.0, 120.0))
    assert calls.strike[-1] == 110.0 and calls.ledger[-1][2].startswith("beyond two consecutive")
    # in the money nothing is asked of a bid
    assert strip(**without_bid("put", 120.0, 125.0)).strike.tolist() == STRIKES.tolist()


def test_an_absent_quote_is_no_bid_and_not_a_price_of_zero() -> None:
    table = quotes()
    for name in ("put_bid", "put_ask"):
        table[name][STRIKES == 85.0] = np.nan
    absent = strip(**table)
    assert absent.ledger == ((85.0, "put", "no bid"),)
    assert absent.variance == strip(**without_bid("put", 85.0)).variance


def test_widths_and_the_price_at_k0() -> None:
    one = strip(**without_bid("call", 110.0))
    width = dict(zip(one.strike, one.delta_k, strict=True))
    assert (width[70.0], width[105.0], width[115.0], width[130.0]) == (5.0, 7.5, 7.5, 5.0)
    table = quotes()
    average = 0.25 * sum(
        float(table[n][STRIKES == 100.0][0]) for n in ("call_bid", "call_ask", "put_bid", "put_ask")
    )
    assert float(one.price[one.strike == 100.0][0]) == pytest.approx(average, rel=1e-14)
    assert one.correction == pytest.approx((one.forward / 100.0 - 1.0) ** 2 / one.tau)
    assert one.to_frame()["contribution"].sum() == pytest.approx(one.total)
    assert one.summary()["vol"].tolist() == [math.sqrt(one.variance)]


def test_a_forward_that_is_given_places_k0() -> None:
    assert strip().forward == pytest.approx(101.0, abs=1e-9)
    given = strip(forward=105.0)
    assert (given.forward, given.k0) == (105.0, 105.0) and given.correction == 0.0


def test_minutes() -> None:
    assert minutes_to("2026-11-20", "2026-12-20") == 43_200.0
    with pytest.raises(ParameterError, match="is not after"):
        minutes_to("2026-11-20", "2026-11-20")
    with pytest.raises(ConventionError, match="no time zone"):
        minutes_to("2026-11-20T08:00", "2026-12-20")


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"rate": 5.0}, ConventionError, r"rate is 5\.0 in the unit 'decimal', 500 % a year"),
        ({"rate": math.nan}, ConventionError, "rate is nan"),
        ({"rate_unit": "bp"}, ParameterError, "rate_unit is 'bp'"),
        ({"minutes": 0.0}, ParameterError, r"minutes is 0\.0"),
        ({"minutes": math.nan}, ParameterError, "minutes is nan"),
        ({"forward": -1.0}, ParameterError, r"forward is -1\.0"),
        ({**quotes(np.array([50.0, 100.0, 200.0])), "call_bid": np.array([50.0, 4.0, 0.01]),
          "call_ask": np.array([52.0, 5.0, 0.02]), "forward": 190.0}, ParameterError,
         r"the strip has a variance of -\S+ with the forward 190 and K0 = 100"),
        ({"forward": 60.0}, DataGapError, "no strike at or below the forward 60"),
        ({"strike": STRIKES[::-1]}, ParameterError, "positive and ascending"),
        ({"strike": STRIKES - 70.0}, ParameterError, "positive and ascending"),
        ({"strike": STRIKES[:-1]}, ParameterError, "five rows of one length"),
        ({"call_bid": quotes()["call_ask"] + 1.0}, ParameterError, "call at strike 70 is quoted"),
        ({"put_bid": -quotes()["put_bid"]}, ParameterError, "put at strike 70 is quoted -0"),
        ({"put_bid": np.zeros(13), "call_bid": np.zeros(13)}, DataGapError, "no strike has a call and a put"),
        (without_bid("put", 95.0, 90.0), DataGapError, "0 puts below and 6 calls above K0 = 100"),
        ({"put_ask": np.where(STRIKES == 90.0, np.nan, quotes()["put_ask"])}, ParameterError,
         "strike 90 has a bid but no ask"),
        ({"put_ask": np.where(STRIKES == 100.0, np.nan, quotes()["put_ask"]), "forward": 101.0}, DataGapError,
         "no two-sided call and put at strike 100"),
    ],
)  # fmt: skip
def test_bad_input(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        strip(**changes)
