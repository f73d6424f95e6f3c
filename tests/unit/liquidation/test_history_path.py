"""Snapshots from daily closes: what they hold, and that nothing of a later day is in them."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from pmkit.core.errors import ConventionError, DataGapError, LookAheadError, ParameterError
from pmkit.liquidation import history_path
from pmkit.market.history import PriceHistory
from pmkit.market.snapshot import MarketSnapshot

DAYS = pd.date_range("2021-05-01", periods=6)
CLOSES = PriceHistory.from_frame(
    pd.DataFrame({"BTC": [50e3, 52e3, 49e3, 40e3, 42e3, 41e3], "ETH": 3e3}, index=DAYS)
)
VOLS = pd.DataFrame({"BTC": [0.7, 0.7, 0.8, 1.2, 1.1, 1.0]}, index=DAYS)
JUNE = "2021-06-25T08:00Z"


class Skewed:
    """Total variance with a skew and a term structure of its own."""

    model = "skewed"

    def w(self, k: object, tau: object) -> np.ndarray:
        m, t = np.asarray(k, dtype=float), np.asarray(tau, dtype=float)
        return (0.5 - 0.2 * m) ** 2 * t * (1.0 + 0.1 * t)

    def iv(self, strike: object, tau: object) -> np.ndarray:
        raise AssertionError("not read")


def made(**changes: object) -> tuple[MarketSnapshot, ...]:
    given: dict = {"expiries": [JUNE], "simulated": True} | changes
    first, last = given.pop("first", "2021-05-02"), given.pop("last", "2021-05-04")
    return history_path(given.pop("history", CLOSES), given.pop("vols", VOLS), first, last, **given)


def test_a_snapshot_a_close() -> None:
    path = made()
    assert [s.as_of.isoformat() for s in path] == [f"2021-05-0{d}T00:00:00+00:00" for d in (3, 4, 5)]
    assert [s.spot("BTC") for s in path] == [52e3, 49e3, 40e3]
    assert [round(s.atm_iv("BTC", 30.0), 12) for s in path] == [0.7, 0.8, 1.2]
    for one in path:
        assert set(one.underlyings) == {"BTC"}
        assert one.forward("BTC", pd.Timestamp(JUNE)) == one.spot("BTC") == one.market("BTC").perpetual
        assert one.provenance.simulated
        assert "simulated implied vols" in one.notes[0]


def test_smile_keeps_its_shape_and_takes_the_level() -> None:
    path = made(smiles={"BTC": Skewed()})
    reference = Skewed()
    ratios = []
    for one, level in zip(path, (0.7, 0.8, 1.2), strict=True):
        assert one.atm_iv("BTC", 30.0) == pytest.approx(level, rel=1e-13)
        surface = one.market("BTC").surface
        assert surface is not None
        k, tau = np.linspace(-0.6, 0.6, 7), np.array([[0.02], [0.5]])
        ratios.append(np.asarray(surface.w(k, tau)) / reference.w(k, tau))
        assert np.ptp(ratios[-1]) < 1e-13 * ratios[-1].max()
    assert ratios[1][0, 0] / ratios[0][0, 0] == pytest.approx((0.8 / 0.7) ** 2, rel=1e-13)


def test_later_days_change_nothing() -> None:
    prices, vols = CLOSES.prices.copy(), VOLS.copy()
    prices.loc["2021-05-04":] *= 3.0
    vols.loc["2021-05-04":] *= 2.0
    other = made(history=PriceHistory.from_frame(prices), vols=vols)
    assert [s.fingerprint for s in other[:2]] == [s.fingerprint for s in made()[:2]]
    assert other[2].fingerprint != made()[2].fingerprint


def test_expiries_pass_and_may_follow_the_date() -> None:
    passing = made(expiries=["2021-05-03T08:00Z", "2021-05-04T08:00Z", JUNE])
    assert [len(s.market("BTC").forwards) for s in passing] == [3, 2, 1]
    moving = made(expiries=lambda t: [t + pd.Timedelta(days=d) for d in (29, 30)])
    assert [min(s.days(e) for e in s.market("BTC").forwards) for s in moving] == [29.0] * 3
    alone = made(expiries=[])
    assert alone[0].market("BTC").forwards == {}
    assert math.isclose(alone[0].atm_iv("BTC", 90.0), 0.7)


def test_close_hour_and_given_vols() -> None:
    one = made(close_hour=21.0, simulated=False)[0]
    assert one.as_of == pd.Timestamp("2021-05-02T21:00Z")
    assert not one.provenance.simulated
    assert "given implied vols" in one.notes[0]


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"vols": VOLS.rename(columns={"BTC": "SOL"})}, DataGapError, "no closes of 'SOL'"),
        ({"vols": VOLS[[]]}, DataGapError, "the vols have no column"),
        ({"vols": VOLS.iloc[:2]}, DataGapError, "no implied vol of BTC on 2021-05-03"),
        ({"vols": VOLS * 100.0}, ConventionError, "implied vol of BTC on 2021-05-02 is 70"),
        ({"vols": VOLS * 0.0}, ConventionError, "implied vol of BTC on 2021-05-02 is 0"),
        ({"first": "2022-01-01", "last": "2022-01-05"}, DataGapError, "from 2022-01-01 to 2022-01-05"),
        ({"first": "2021-05-04", "last": "2021-05-02"}, LookAheadError, "before first 2021-05-04"),
        ({"reference_days": 0.0}, ParameterError, "reference_days"),
        ({"close_hour": 49.0}, ParameterError, "close_hour"),
        ({"expiries": ["June"]}, ConventionError, "'June' is not an instant"),
    ],
)
def test_bad_input_is_refused(changes: dict, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        made(**changes)


def test_a_missing_close_is_named() -> None:
    prices = CLOSES.prices.copy()
    prices.loc["2021-05-03", "BTC"] = np.nan
    with pytest.raises(DataGapError, match="no close of BTC on 2021-05-03"):
        made(history=PriceHistory.from_frame(prices))
