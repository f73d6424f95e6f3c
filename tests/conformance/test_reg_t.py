"""Published and computed cases of strategy-based margin, re-typed with their figures.

Sources: the sheet *Margin Requirement Examples for Sample Options-based Positions* of Cboe (positions of
2007, and an iron condor of 2015), whose figures are net of premiums, so that they are ``im_equity``; a
broker's page on short strangles; and computed cases of the rates by hand.
"""

from __future__ import annotations

import pytest

from tests.unit.margin.listed_books import Leg, requirement

# name, underlying, price, legs, requirement after premiums; the index level solves the two printed figures
# of its short call and short put
SHEET: list[tuple[str, str, float, tuple[Leg, ...], float]] = [
    ("short call", "IBM", 97.73, (("C", 100.0, -100.0, 1.68),), 172_760.0),
    ("short put", "IBM", 97.73, (("P", 100.0, -100.0, 3.18),), 195_460.0),
    ("covered call", "IBM", 97.73, (("S", 0.0, 10_000.0, 0.0), ("C", 100.0, -100.0, 1.68)), 471_850.0),
    ("protective put", "IBM", 97.73, (("S", 0.0, 10_000.0, 0.0), ("P", 95.0, 100.0, 1.02)), 498_850.0),
    ("synthetic long", "IBM", 97.73, (("C", 100.0, 100.0, 1.68), ("P", 100.0, -100.0, 3.18)), 212_260.0),
    ("risk reversal", "IBM", 97.73, (("P", 95.0, 100.0, 1.02), ("C", 105.0, -100.0, 0.40)), 132_960.0),
    (
        "collar", "IBM", 97.73,
        (("S", 0.0, 10_000.0, 0.0), ("P", 95.0, 100.0, 1.02), ("C", 105.0, -100.0, 0.40)), 494_850.0,
    ),
    ("call spread", "IBM", 97.73, (("C", 95.0, 100.0, 4.53), ("C", 105.0, -100.0, 0.40)), 41_300.0),
    ("short index call", "SPX", 1451.19, (("C", 1460.0, -100.0, 21.66),), 2_088_685.0),
    ("short index put", "SPX", 1451.19, (("P", 1460.0, -100.0, 22.55),), 2_176_785.0),
    (
        "index synthetic long", "SPX", 1451.19,
        (("C", 1460.0, 100.0, 21.66), ("P", 1460.0, -100.0, 22.55)), 2_393_385.0,
    ),
    (
        "index risk reversal", "SPX", 1451.19,
        (("P", 1450.0, 100.0, 18.72), ("C", 1500.0, -100.0, 5.96)), 1_875_885.0,
    ),
    (
        "index call spread", "SPX", 1451.19,
        (("C", 1450.0, 100.0, 27.57), ("C", 1500.0, -100.0, 5.96)), 216_100.0,
    ),
    (
        "iron condor", "AAPL", 127.5,
        (
            ("P", 115.0, 100.0, 2.83), ("P", 125.0, -100.0, 6.33),
            ("C", 130.0, -100.0, 6.65), ("C", 140.0, 100.0, 3.38),
        ), 32_300.0,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "underlying", "spot", "legs", "expected"), SHEET, ids=[c[0] for c in SHEET])
def test_sample_positions(
    name: str, underlying: str, spot: float, legs: tuple[Leg, ...], expected: float
) -> None:
    assert requirement("reg-t", spot, legs, underlying).im_equity == pytest.approx(expected, abs=1e-6)


def test_short_index_call_and_put_give_one_index_level() -> None:
    # call: 0.15 S - (1460 - S) = 208.8685; put in the money: 0.15 S = 217.6785
    levels = [(208.8685 + 1460.0) / 1.15, 217.6785 / 0.15]
    assert levels == pytest.approx([1451.19, 1451.19], abs=0.01)


CASH: list[tuple[str, str, float, tuple[Leg, ...], float]] = [
    ("strangle of the broker", "XYZ", 45.0, (("C", 47.0, -1.0, 2.10), ("P", 43.0, -1.0, 1.20)), 1030.0),
    ("short call", "XYZ", 100.0, (("C", 105.0, -1.0, 2.50),), 1750.0),
    ("short put", "XYZ", 100.0, (("P", 90.0, -1.0, 1.50),), 1150.0),
    ("low short put", "XYZ", 100.0, (("P", 60.0, -1.0, 0.50),), 650.0),
    ("index call", "SPX", 1000.0, (("C", 1050.0, -1.0, 30.0),), 13_000.0),
    ("strangle", "XYZ", 100.0, (("C", 105.0, -1.0, 2.50), ("P", 90.0, -1.0, 1.50)), 1900.0),
    ("bull put", "XYZ", 100.0, (("P", 95.0, -1.0, 2.0), ("P", 90.0, 1.0, 1.0)), 500.0),
    (
        "iron condor", "XYZ", 100.0,
        (("P", 90.0, 1.0, 1.0), ("P", 95.0, -1.0, 2.0), ("C", 105.0, -1.0, 2.0), ("C", 110.0, 1.0, 1.0)),
        500.0,
    ),
    ("long option", "XYZ", 100.0, (("C", 100.0, 1.0, 4.0),), 0.0),
    (
        "long butterfly", "XYZ", 100.0,
        (("C", 95.0, 1.0, 7.5), ("C", 100.0, -2.0, 4.8), ("C", 105.0, 1.0, 2.8)), 0.0,
    ),
    (
        "short butterfly", "XYZ", 100.0,
        (("C", 95.0, -1.0, 7.5), ("C", 100.0, 2.0, 4.8), ("C", 105.0, -1.0, 2.8)), 500.0,
    ),
    (
        "iron butterfly", "XYZ", 100.0,
        (("P", 95.0, 1.0, 2.8), ("P", 100.0, -1.0, 4.8), ("C", 100.0, -1.0, 4.8), ("C", 105.0, 1.0, 2.8)),
        500.0,
    ),
    (
        "long condor", "XYZ", 100.0,
        (("P", 90.0, 1.0, 1.3), ("P", 95.0, -1.0, 2.8), ("P", 105.0, -1.0, 7.8), ("P", 110.0, 1.0, 11.2)),
        0.0,
    ),
    (
        "short box", "SPX", 1000.0,
        (
            ("C", 990.0, -1.0, 33.0), ("C", 1010.0, 1.0, 23.0),
            ("P", 990.0, 1.0, 23.0), ("P", 1010.0, -1.0, 33.0),
        ),
        2000.0,
    ),
    # 50 % of the gap of 20, less the value of the box on cash: (10 - 20) * 100
    (
        "long box", "SPX", 1000.0,
        (
            ("C", 990.0, 1.0, 33.0), ("C", 1010.0, -1.0, 23.0),
            ("P", 990.0, -1.0, 23.0), ("P", 1010.0, 1.0, 33.0),
        ),
        -1000.0,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "underlying", "spot", "legs", "expected"), CASH, ids=[c[0] for c in CASH])
def test_requirement_on_cash(
    name: str, underlying: str, spot: float, legs: tuple[Leg, ...], expected: float
) -> None:
    found = requirement("reg-t", spot, legs, underlying)
    assert found.im == pytest.approx(expected, abs=1e-6)
    assert found.basis == "cash"


# name, legs, IM and MM per 100 shares at 100 against equity in stock
HEDGED: list[tuple[str, tuple[Leg, ...], float, float]] = [
    ("long stock", (("S", 0.0, 100.0, 0.0),), 5000.0, 2500.0),
    ("short stock", (("S", 0.0, -100.0, 0.0),), 5000.0, 3000.0),
    ("covered call in the money", (("S", 0.0, 100.0, 0.0), ("C", 90.0, -1.0, 12.0)), 5500.0, 3250.0),
    ("covered put in the money", (("S", 0.0, -100.0, 0.0), ("P", 110.0, -1.0, 12.0)), 6000.0, 4000.0),
    ("protective put", (("S", 0.0, 100.0, 0.0), ("P", 95.0, 1.0, 2.0)), 5000.0, 1450.0),
    ("protective call", (("S", 0.0, -100.0, 0.0), ("C", 105.0, 1.0, 2.0)), 5000.0, 1550.0),
    ("collar", (("S", 0.0, 100.0, 0.0), ("P", 95.0, 1.0, 2.0), ("C", 105.0, -1.0, 2.0)), 5000.0, 1450.0),
    ("conversion", (("S", 0.0, 100.0, 0.0), ("P", 100.0, 1.0, 4.0), ("C", 100.0, -1.0, 4.0)), 5000.0, 1000.0),
    (
        "reverse conversion",
        (("S", 0.0, -100.0, 0.0), ("P", 105.0, -1.0, 7.0), ("C", 105.0, 1.0, 2.0)), 5500.0, 1550.0,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "legs", "im", "mm"), HEDGED, ids=[c[0] for c in HEDGED])
def test_stock_with_options(name: str, legs: tuple[Leg, ...], im: float, mm: float) -> None:
    found = requirement("reg-t", 100.0, legs)
    assert (found.im, found.mm) == pytest.approx((im, mm), abs=1e-6)
    pairing = found.figures["pairing"]
    assert pairing.loc[pairing["margin"] == "maintenance", "strategy"].iloc[0] in name


def test_premium_on_one_basis_against_portfolio_margin() -> None:
    # ten straddles: 29,698.91 with the premium, 20,000 without, against 6,922.32 of the ten points
    legs: tuple[Leg, ...] = (("C", 100.0, -10.0, 4.849454), ("P", 100.0, -10.0, 4.849454))
    found = requirement("reg-t", 100.0, legs)
    assert found.im == pytest.approx(29_698.91, abs=0.01)
    assert found.im_equity == pytest.approx(20_000.0, abs=0.01)
