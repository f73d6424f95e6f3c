"""The linear surface: exact at its points, flat outside, linear between, and fast."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.protocols import VolSurface
from pmkit.market import datasets, read_quotes
from pmkit.market.quotes import Quotes
from pmkit.market.snapshot import ForwardQuote
from pmkit.pricing import black76_inverse
from pmkit.surface import ForwardCurve, LinearSurface, SmileSlice, fit, forward_curve, own_vols

#: Some tests look on purpose at times beyond the last expiry.
pytestmark = pytest.mark.filterwarnings("ignore::pmkit.surface.readouts.outside.ExtrapolationWarning")

AS_OF = pd.Timestamp("2026-01-01T08:00Z")
EXPIRIES = [AS_OF + pd.Timedelta(days=d) for d in (10, 40)]


def small() -> LinearSurface:
    curve = ForwardCurve(
        underlying="BTC",
        spot=100.0,
        as_of=AS_OF,
        quotes={e: ForwardQuote(100.0 + i, "given") for i, e in enumerate(EXPIRIES)},
        parity={},
        ledger=(),
    )
    slices = tuple(
        SmileSlice(
            expiry=e,
            tau=d / 365,
            forward=100.0 + i,
            k=np.array([-0.2, 0.0, 0.3]),
            w=np.array([0.7, 0.5, 0.6]) ** 2 * d / 365,
        )
        for i, (e, d) in enumerate(zip(EXPIRIES, (10, 40), strict=True))
    )
    return LinearSurface(slices=slices, curve=curve)


def by_hand(surface: LinearSurface, k: float, tau: float) -> float:
    """Return total variance by the definition, one scalar at a time."""

    def at(s: SmileSlice) -> float:
        if k <= s.k[0]:
            return float(s.w[0])
        for a in range(s.k.size - 1):
            if k <= s.k[a + 1]:
                share = (k - s.k[a]) / (s.k[a + 1] - s.k[a])
                return float((1 - share) * s.w[a] + share * s.w[a + 1])
        return float(s.w[-1])

    if tau <= surface.slices[0].tau:
        return at(surface.slices[0]) * tau / surface.slices[0].tau
    for one, two in zip(surface.slices, surface.slices[1:], strict=False):
        if tau <= two.tau:
            share = (tau - one.tau) / (two.tau - one.tau)
            return (1 - share) * at(one) + share * at(two)
    return at(surface.slices[-1]) * tau / surface.slices[-1].tau


@pytest.fixture(scope="module")
def real() -> LinearSurface:
    return fit(read_quotes(datasets.path("deribit-btc-2026-08-01")))


def test_it_is_a_vol_surface(real: LinearSurface) -> None:
    assert isinstance(real, VolSurface) and real.model == "linear"


@given(st.floats(-2.0, 2.0), st.floats(0.0, 3.0))
def test_values_equal_the_definition(k: float, tau: float) -> None:
    surface = small()
    assert float(surface.w(k, tau)) == pytest.approx(by_hand(surface, k, tau), rel=1e-9, abs=1e-15)


def test_arrays_of_few_and_of_many_times_agree_with_scalars(real: LinearSurface) -> None:
    generator = np.random.default_rng(3)
    k = generator.normal(0.0, 0.3, 300)
    for tau in (generator.uniform(0.0, 1.2, 300), np.repeat(real.taus[:10], 30)):
        one_by_one = [float(real.w(a, b)) for a, b in zip(k, tau, strict=True)]
        np.testing.assert_allclose(real.w(k, tau), one_by_one, rtol=1e-12)
    assert real.w(k[:, None], real.taus[None, :3]).shape == (300, 3)


def test_vol_is_flat_beyond_the_quotes_and_the_expiries() -> None:
    surface = small()
    np.testing.assert_allclose(surface.iv([40.0, 60.0], 10 / 365), 0.7, rtol=1e-12)
    np.testing.assert_allclose(surface.iv([140.0, 300.0], 10 / 365), 0.6, rtol=1e-12)
    np.testing.assert_allclose(np.sqrt(surface.w(0.0, [0.001, 10 / 365]) / [0.001, 10 / 365]), 0.5)
    np.testing.assert_allclose(
        np.sqrt(surface.w(0.1, [40 / 365, 3.0]) / [40 / 365, 3.0]), 0.5354126135, rtol=1e-9
    )
    assert surface.status["outside"].str.contains("flat beyond the quoted strikes").all()


def test_nan_propagates_and_bad_arguments_are_refused() -> None:
    surface = small()
    assert np.isnan(surface.w(np.nan, 0.1)) and np.isnan(surface.w(0.0, np.nan))
    assert np.isnan(surface.w([0.0, np.nan], [0.1, 0.2])).tolist() == [False, True]
    assert np.isnan(surface.w(np.zeros(200), np.r_[np.nan, np.linspace(0.1, 1, 199)])).sum() == 1
    assert float(surface.w(0.0, 0.0)) == 0.0
    with pytest.raises(ParameterError, match=r"tau is -0.1 years"):
        surface.w(0.0, -0.1)
    with pytest.raises(ParameterError, match="strike is 0 USD"):
        surface.iv(0.0, 0.1)
    with pytest.raises(ParameterError, match="tau is 0 years"):
        surface.iv(100.0, 0.0)


def test_slices_by_instant_or_date() -> None:
    surface = small()
    assert surface.slice(EXPIRIES[1]) is surface.slice("2026-02-10") is surface.slices[1]
    with pytest.raises(DataGapError, match="no slice at 2026-03-01; expected one of 2026-01-11, 2026-02-10"):
        surface.slice("2026-03-01")


@pytest.mark.parametrize(
    ("k", "w"),
    [
        ([0.0, 0.0, 0.1], [1, 1, 1]),
        ([0.1, 0.0], [1, 1]),
        ([0.0], []),
        ([0.0, 0.1], [1, -1]),
        ([0.0, 0.1], [1, np.nan]),
    ],
)
def test_malformed_slices_are_refused(k: list[float], w: list[float]) -> None:
    with pytest.raises(ParameterError):
        SmileSlice(expiry=EXPIRIES[0], tau=0.1, forward=1.0, k=np.array(k), w=np.array(w, dtype=float))


def test_points_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        small().slices[0].w[0] = 0.0


def test_the_real_surface_goes_through_its_mids(real: LinearSurface) -> None:
    quotes = read_quotes(datasets.path("deribit-btc-2026-08-01")).frame.set_index("instrument")
    points = real.to_frame()
    for one in points.sample(60, random_state=1).itertuples():
        row = quotes.loc[one.instrument]
        price = black76_inverse(
            real.slice(one.expiry).forward, row["strike"], one.tau, one.iv, row["is_call"]
        )
        assert price == pytest.approx(row["mid"], abs=1e-12)
    near = points["k"].abs() < 0.25 * points["iv"] * np.sqrt(points["tau"])
    otm = np.where(
        points["k"] > 0, points["instrument"].str.endswith("C"), points["instrument"].str.endswith("P")
    )
    assert (otm | near).all(), "out-of-the-money side, except near the money"
    assert not points.duplicated(["expiry", "strike"]).any()


def test_near_the_money_the_tighter_side_is_taken(real: LinearSurface) -> None:
    quotes = read_quotes(datasets.path("deribit-btc-2026-08-01")).frame
    option = quotes[quotes["kind"] == "option"].assign(spread=lambda f: f["ask"] - f["bid"])
    checked = 0
    for one in real.slices:
        chain = option[option["expiry"] == one.expiry]
        nearest = int(np.argmin(np.abs(one.k)))
        both = chain[chain["strike"] == round(one.forward * np.exp(one.k[nearest]), 6)]
        chosen = both.loc[both["instrument"] == one.instruments[nearest], "spread"].iloc[0]
        assert chosen <= both["spread"].min() + 1e-12
        checked += len(both) == 2
    assert checked >= 10


def test_atm_vol_rises_with_tenor(real: LinearSurface) -> None:
    atm = real.summary()["atm_iv"]
    assert atm.iloc[0] == pytest.approx(0.162, abs=1e-3) and atm.iloc[-1] == pytest.approx(0.428, abs=1e-3)
    assert atm.is_monotonic_increasing


def test_a_million_values_take_well_under_a_second(real: LinearSurface) -> None:
    k = np.random.default_rng(0).normal(0.0, 0.2, 1_000_000)
    for tau in (float(real.taus[5]), 0.1):
        start = time.perf_counter()
        real.w(k, tau)
        assert time.perf_counter() - start < 0.8


def test_an_expiry_with_two_points_is_left_out_and_said() -> None:
    quotes = read_quotes(datasets.path("deribit-btc-2026-08-01"))
    frame, expiry = quotes.frame, pd.Timestamp("2026-08-21T08:00Z")
    here = (frame["expiry"] == expiry) & (frame["kind"] == "option")
    kept = frame["instrument"].isin(["BTC-21AUG26-60000-P", "BTC-21AUG26-65000-C"])
    cut = Quotes(frame=frame[~here | kept], ledger=quotes.ledger, as_of=quotes.as_of, source="cut")
    surface = fit(cut)
    assert len(surface.slices) == 12 and list(surface.left_out) == [expiry]
    assert surface.status.loc[expiry, "status"] == "too_few_points"
    with pytest.raises(DataGapError, match=r"no slice at 2026-08-21 \(2 usable"):
        surface.slice("2026-08-21")
    assert float(surface.iv(63_000.0, 19.58 / 365)) == pytest.approx(0.33, abs=0.01)


def test_own_vols_against_the_vols_of_the_source() -> None:
    quotes = read_quotes(datasets.path("deribit-btc-2026-05-21"))
    vols = own_vols(quotes, forward_curve(quotes, "BTC"))
    table = vols.frame.set_index("instrument").join(
        quotes.frame.set_index("instrument")[["iv_bid", "iv_ask"]]
    )
    inside = (table["iv"] > table["iv_bid"] - 0.01) & (table["iv"] < table["iv_ask"] + 0.01)
    assert inside.mean() > 0.97
    assert (table["iv"] - 0.5 * (table["iv_bid"] + table["iv_ask"])).abs().median() < 2e-3


def test_refusals_of_fit() -> None:
    quotes = read_quotes(datasets.path("deribit-btc-2026-08-01"))
    with pytest.raises(ParameterError, match=r"model 'heston'; expected one of 'linear', 'pchip'"):
        fit(quotes, model="heston")
    with pytest.raises(DataGapError, match="no quotes of 'ETH'"):
        fit(quotes, underlying="ETH")
    only = Quotes(
        frame=quotes.frame[quotes.frame["kind"] != "option"],
        ledger=quotes.ledger,
        as_of=quotes.as_of,
        source="cut",
    )
    with pytest.raises(DataGapError, match="no expiry of BTC has enough quotes"):
        fit(only)
    other = quotes.frame.assign(underlying="ETH")
    both = Quotes(
        frame=pd.concat([quotes.frame, other]), ledger=quotes.ledger, as_of=quotes.as_of, source="both"
    )
    with pytest.raises(ParameterError, match="quotes of BTC, ETH"):
        fit(both)
