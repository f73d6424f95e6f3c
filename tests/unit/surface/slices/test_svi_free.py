"""The nearest slice without butterfly arbitrage: free by the exact criterion, and no nearer one is found."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import minimize

from pmkit.core.errors import ParameterError
from pmkit.core.random import stream
from pmkit.market import datasets, read_quotes
from pmkit.surface import (
    RawSvi,
    SviFit,
    SviSurface,
    butterfly,
    calendar,
    fit,
    fit_svi,
    forward_curve,
    own_vols,
    slice_quotes,
)
from pmkit.surface.slices.svi_surface import _Ordered

NAMES = ("deribit-btc-2026-08-01", "deribit-btc-2026-05-21", "deribit-eth-2026-05-21")
VOGT = RawSvi(a=-0.0410, b=0.1331, m=0.3586, rho=0.3060, sigma=0.4153)


@pytest.fixture(scope="module")
def pairs() -> dict[str, tuple[SviSurface, SviSurface]]:
    return {
        name: (fit(quotes, model="svi"), fit(quotes, model="svi-free", calendar="report"))
        for name in NAMES
        if (quotes := read_quotes(datasets.path(name))) is not None
    }


@pytest.mark.parametrize("name", NAMES)
def test_every_slice_of_the_shipped_chains_is_free(
    pairs: dict[str, tuple[SviSurface, SviSurface]], name: str
) -> None:
    plain, free = pairs[name]
    assert free.model == "svi-free" and len(free.slices) == len(plain.slices) == len(plain.status)
    report = free.arbitrage()
    assert (report["butterfly_margin"] >= 0.0).all() and (report["min_g"] >= 0.0).all()
    assert report["butterfly_at"].map(len).sum() == 0
    assert not (plain.arbitrage()["butterfly_margin"] >= 0.0).all()
    for one, other in zip(plain.slices, free.slices, strict=True):
        assert other.fit.chi2 >= one.fit.chi2 * (1.0 - 1e-9)
        if butterfly(one.svi).free:
            assert other.svi == one.svi and other.fit.status == one.fit.status
        else:
            assert other.fit.status == "at_bound" and "edge of arbitrage" in other.fit.detail
            # the constraint binds: the slice lies at the edge
            assert butterfly(other.svi).margin < 1e-6
    assert set(free.status["status"]) <= {"ok", "at_bound"}


#: Mean share of quotes inside bid and ask, without and with the constraint.
SHARES = {NAMES[0]: (0.9753, 0.9713), NAMES[1]: (0.9544, 0.9488), NAMES[2]: (0.9980, 0.9980)}


@pytest.mark.parametrize("name", NAMES)
def test_share_inside_beside_the_unconstrained_one(
    pairs: dict[str, tuple[SviSurface, SviSurface]], name: str
) -> None:
    shares = tuple(float(s.status["inside"].mean()) for s in pairs[name])
    assert shares == pytest.approx(SHARES[name], abs=5e-4)


def test_calendar_arbitrage_is_reported_where_it_is_not_excluded(
    pairs: dict[str, tuple[SviSurface, SviSurface]],
) -> None:
    report = pairs[NAMES[0]][1].arbitrage()
    crossing = report[report["calendar_min"] < 0.0]
    assert len(crossing) >= 1 and not crossing["free"].any() and (crossing["calendar_at"].map(len) > 0).all()


def loss_on_the_edge(k: np.ndarray, w: np.ndarray, x: np.ndarray) -> float:
    """Return the squares of the slice of shape (alpha, slopes, mu) at its least admissible width."""
    alpha, p, q, mu = x[0], math.exp(x[1]), math.exp(x[2]), x[3]
    b, rho = 0.5 * (p + q), (p - q) / (p + q)
    if alpha + math.sqrt(1.0 - rho * rho) <= 1e-6 or max(p, q) >= 2.0:
        return 1e6
    star = butterfly(RawSvi(a=alpha * b, b=b, rho=rho, m=mu, sigma=1.0)).sigma_star
    if not math.isfinite(star):
        return 1e6
    svi = RawSvi(a=alpha * b * star, b=b, rho=rho, m=mu * star, sigma=star)
    return float(((svi.w(k) - w) ** 2).sum())


def test_no_slice_on_the_edge_is_nearer() -> None:
    """Another parametrisation, by shape and least width, and another method find the same minimum."""
    k = np.linspace(-1.0, 1.5, 26)
    w = VOGT.w(k)
    free = fit_svi(k, w, np.full(26, 1e-3), butterfly="free")
    assert free.svi is not None and butterfly(free.svi).free and free.status == "at_bound"
    unit = 1e-6
    s = free.svi
    start = np.array([s.a / (s.b * s.sigma), math.log(s.slopes[1]), math.log(s.slopes[0]), s.m / s.sigma])
    assert loss_on_the_edge(k, w, start) == pytest.approx(free.chi2 * unit, rel=1e-5)
    rng = stream(33, "edge")
    best = math.inf
    for _ in range(2):
        begin = start + 0.15 * rng.standard_normal(4)
        options = {"xatol": 1e-7, "fatol": 1e-13, "maxiter": 250}
        found = minimize(lambda x: loss_on_the_edge(k, w, x), begin, method="Nelder-Mead", options=options)
        best = min(best, float(found.fun))
    assert best > free.chi2 * unit * (1.0 - 1e-4)
    assert best < free.chi2 * unit * 1.2


def test_quotes_of_a_free_slice_give_that_slice_back() -> None:
    svi = RawSvi(a=0.04, b=0.4, rho=-0.4, m=0.05, sigma=0.1)
    k = np.linspace(-0.5, 0.5, 21)
    fitted = fit_svi(k, svi.w(k), butterfly="free")
    assert fitted.status == "ok" and fitted.svi is not None
    assert fitted.svi.w(k) == pytest.approx(svi.w(k), rel=1e-9)
    assert math.isnan(fitted.chi2)


def test_no_legal_quotes_end_in_arbitrage_or_in_an_error() -> None:
    rng = stream(34, "wild-free")
    seen = set()
    for trial in range(7):
        n = int(rng.integers(5, 25))
        k = np.sort(rng.uniform(-0.8, 0.8, n))
        w = (
            np.abs(k) * 1.5 + 1e-3,
            np.exp(3.0 * k) * 0.05,
            np.maximum(k**2 - 0.02, 1e-4),
            0.04 * np.exp(0.5 * rng.standard_normal(n)),
            VOGT.w(k) * np.exp(0.05 * rng.standard_normal(n)),
        )[trial % 5]
        fitted = fit_svi(k, w, 0.02 * w, butterfly="free")
        seen.add(fitted.status)
        assert fitted.svi is not None and butterfly(fitted.svi).free
    assert "at_bound" in seen


def test_bid_and_ask_are_counted_for_the_slice_that_is_returned() -> None:
    k = np.linspace(-1.0, 1.5, 26)
    w = VOGT.w(k)
    bars = np.full(26, 1e-3)
    fitted = fit_svi(k, w, bars, w_bid=w - bars, w_ask=w + bars, butterfly="free")
    assert fitted.svi is not None
    assert fitted.inside == np.mean(np.abs(fitted.svi.w(k) - w) <= bars)
    assert fitted.inside < 1.0 == fit_svi(k, w, bars, w_bid=w - bars, w_ask=w + bars).inside
    assert fitted.chi2 == pytest.approx(float((((fitted.svi.w(k) - w) / bars) ** 2).sum()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"butterfly": "none"}, "butterfly is 'none'; expected 'report' or 'free'"),
        ({"butterfly": "free", "min_a": 0.0}, "min_a is 0 and butterfly is 'free'; expected one of the two"),
        ({"ceiling": 9.0}, "ceiling is 9.0 and butterfly is 'report'; expected butterfly='free'"),
        ({"butterfly": "free", "ceiling": 0.0}, "ceiling is 0.0; expected a positive number"),
        ({"butterfly": "free", "ceiling": math.nan}, "ceiling is nan; expected a positive number"),
    ],
)
def test_bad_options(options: dict[str, object], message: str) -> None:
    k = np.linspace(-1.0, 1.0, 9)
    with pytest.raises(ParameterError, match=message):
        fit_svi(k, VOGT.w(k), **options)  # type: ignore[arg-type]


def test_too_few_points_stay_a_status() -> None:
    assert fit_svi([0.0, 0.1], [0.04, 0.05], butterfly="free").status == "too_few_points"


# -- ordered in time ----------------------------------------------------------------------------------------
NEAR, FAR = RawSvi(0.010, 0.10, -0.3, 0.0, 0.15), RawSvi(0.030, 0.16, -0.3, 0.0, 0.25)
K = np.linspace(-0.8, 0.8, 17)


@pytest.mark.parametrize("side", ["above", "below", "both"])
def test_a_slice_is_held_between_its_neighbours_on_the_whole_line(side: str) -> None:
    """Quotes that cross a neighbour in one wing give a slice that touches it and crosses neither."""
    tilted = RawSvi(0.018, 0.13, -0.9, 0.05, 0.2) if side != "below" else RawSvi(0.03, 0.25, 0.2, 0.0, 0.2)
    early, late = (NEAR if side != "below" else None), (FAR if side != "above" else None)
    between = (early, late)
    w = tilted.w(K)
    alone = fit_svi(K, w, 0.01 * w, butterfly="free")
    held = fit_svi(K, w, 0.01 * w, butterfly="free", between=between)
    assert alone.svi is not None and held.svi is not None
    crossed = [calendar(early, alone.svi)] if early else []
    crossed += [calendar(alone.svi, late)] if late else []
    assert not all(report.free for report in crossed)
    assert butterfly(held.svi).free
    assert early is None or calendar(early, held.svi).free
    assert late is None or calendar(held.svi, late).free
    assert held.status == "at_bound" and held.chi2 > alone.chi2
    # no neighbour itself would have done better
    for one in (early, late):
        assert one is None or held.chi2 < math.fsum(((one.w(K) - w) / (0.01 * w)) ** 2)


def test_neighbours_that_do_not_bind_change_nothing() -> None:
    middle = RawSvi(0.020, 0.13, -0.3, 0.0, 0.2)
    w = middle.w(K)
    assert calendar(NEAR, middle).free and calendar(middle, FAR).free
    alone, held = (
        fit_svi(K, w, 0.01 * w, butterfly="free", between=between) for between in ((None, None), (NEAR, FAR))
    )
    assert held.svi == alone.svi


def test_a_search_that_stands_above_the_ceiling_is_given_up() -> None:
    tilted = RawSvi(0.018, 0.13, -0.9, 0.05, 0.2)
    w = tilted.w(K)

    def held(ceiling: float) -> SviFit:
        return fit_svi(K, w, 0.01 * w, butterfly="free", between=(NEAR, None), ceiling=ceiling)

    best = held(math.inf)
    assert best.status == "at_bound" and math.isfinite(best.chi2)
    # above the answer it changes nothing; below it what comes back is free, in order, and not below it either
    assert held(1.01 * best.chi2) == best
    given_up = held(0.5 * best.chi2)
    assert given_up.status == "not_converged" and given_up.chi2 >= best.chi2
    assert given_up.svi is not None and butterfly(given_up.svi).free and calendar(NEAR, given_up.svi).free


def test_between_needs_a_slice_without_arbitrage() -> None:
    with pytest.raises(ParameterError, match="between with butterfly='report'"):
        fit_svi(K, NEAR.w(K), between=(NEAR, None))


@pytest.mark.parametrize("name", NAMES)
def test_real_chains_have_neither_kind_of_arbitrage(
    name: str, pairs: dict[str, tuple[SviSurface, SviSurface]]
) -> None:
    plain = pairs[name][0]
    surface = fit(read_quotes(datasets.path(name)), "svi-free")
    assert surface.model == "svi-free" and not surface.left_out
    assert surface.arbitrage()["free"].all() and not plain.arbitrage()["free"].all()
    points = sum(s.fit.points for s in surface.slices)
    shares = [sum(s.fit.inside * s.fit.points for s in one.slices) / points for one in (surface, plain)]
    assert shares[0] > shares[1] - 0.03


def test_a_crowded_slice_pushes_a_neighbour_aside_only_where_chi2_falls() -> None:
    quotes = read_quotes(datasets.path("deribit-eth-2026-05-21"))
    curve = forward_curve(quotes, "ETH")
    points, _ = slice_quotes(own_vols(quotes, curve), curve, 5)
    order = _Ordered(points, 2, free=True)
    for i in order.by_information():
        order.place(i)
    before = math.fsum(fit.chi2 for fit in order.fits.values())
    order.ease()
    after = math.fsum(fit.chi2 for fit in order.fits.values())
    assert after < before
    slices = [order.fits[i].svi for i in range(len(points))]
    assert all(butterfly(one).free for one in slices if one is not None)
    assert all(calendar(a, b).free for a, b in pairwise(slices) if a is not None and b is not None)
