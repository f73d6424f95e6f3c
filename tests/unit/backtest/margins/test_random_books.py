"""Random books: what offsets what, gross weights of one, seeds, and that they can be revalued."""

import numpy as np
import pytest

from pmkit.backtest import random_books
from pmkit.core.errors import ParameterError

NAMES = ["BTC", "ETH", "SOL"]


def _of(kind, count=30):
    return random_books(NAMES, count=count, kinds=[kind], seed=5)


@pytest.mark.parametrize("kind", ["long_short", "delta_hedged", "calendar", "fly", "dispersion"])
def test_gross_weights_are_one_and_the_book_can_be_revalued(kind):
    for book in _of(kind):
        assert sum(abs(leg.weight) for leg in book.legs) == pytest.approx(1.0, rel=1e-12)
        assert book.delta_hedged == (kind != "long_short") and book.name.startswith(kind)
        names = book.underlyings
        moves = np.linspace(-0.2, 0.2, 5)[:, None] * np.ones(len(names))
        pnl = book.pnl(moves, iv0=[0.6] * len(names), iv1=np.full((5, len(names)), 0.6), days=1)
        assert pnl.shape == (5,) and np.isfinite(pnl).all()


def test_long_short_books_have_both_sides():
    assert all({np.sign(leg.weight) for leg in book.legs} == {-1.0, 1.0} for book in _of("long_short"))


def test_calendars_hold_two_tenors_of_one_strike():
    for book in _of("calendar"):
        near, far = book.legs
        assert near.weight == -far.weight and near.tenor_days < far.tenor_days
        assert (near.moneyness, near.is_call, near.underlying) == (far.moneyness, far.is_call, far.underlying)


def test_flies_weigh_one_two_one_at_equal_distances():
    for book in _of("fly"):
        low, middle, high = book.legs
        assert middle.weight == pytest.approx(-2.0 * low.weight) and high.weight == low.weight
        assert middle.moneyness - low.moneyness == pytest.approx(high.moneyness - middle.moneyness)
        assert low.moneyness > 0.6


def test_dispersion_sets_one_underlying_against_the_others():
    for book in _of("dispersion"):
        by_name = {name: sum(leg.weight for leg in book.legs if leg.underlying == name) for name in NAMES}
        signs = [np.sign(weight) for weight in by_name.values()]
        assert abs(sum(signs)) == 1.0
        assert sum(by_name.values()) == pytest.approx(0.0, abs=1e-12)


def test_a_book_of_a_seed_does_not_depend_on_the_count():
    few, many, other = (random_books(NAMES, count=c, seed=s) for c, s in ((4, 1), (9, 1), (4, 2)))
    assert [b.fingerprint for b in few] == [b.fingerprint for b in many[:4]]
    assert [b.fingerprint for b in few] != [b.fingerprint for b in other]


def test_settlement_is_that_of_all_legs():
    books = random_books("BTC", count=4, kinds=("fly", "calendar"), settlement="inverse")
    assert {leg.settlement for book in books for leg in book.legs} == {"inverse"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"underlyings": []}, "underlyings are"),
        ({"underlyings": ["BTC", "BTC"]}, "each once"),
        ({"kinds": ["condor"]}, "kinds hold 'condor'"),
        ({"kinds": []}, "kinds are empty"),
        ({"underlyings": ["BTC"]}, "a dispersion book of BTC alone"),
        ({"count": 0}, "count is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"settlement": "cash"}, "settlement is 'cash'"),
    ],
)
def test_bad_input_is_named(settings, message):
    with pytest.raises(ParameterError, match=message):
        random_books(**({"underlyings": NAMES} | settings))
