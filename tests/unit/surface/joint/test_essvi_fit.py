"""The eSSVI fit: recovery, real chains without arbitrage, bounds that bind, warm starts, and bad input."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

from pmkit.core.errors import ConventionError, DataGapError, ParameterError
from pmkit.core.random import stream
from pmkit.market import datasets, read_quotes
from pmkit.market.quote_panel import read_quote_panel
from pmkit.surface import (
    EssviCurves,
    EssviSurface,
    SliceQuotes,
    anchored_theta,
    butterfly,
    calendar,
    fit,
    fit_essvi,
    forward_curve,
    own_vols,
    psi_max,
    slice_quotes,
)
from pmkit.surface.joint.essvi import essvi_w
from pmkit.surface.joint.essvi_fit import fit_essvi_surface

NAMES = ("deribit-btc-2026-08-01", "deribit-btc-2026-05-21", "deribit-eth-2026-05-21")
START = pd.Timestamp("2026-08-01T08:00Z")


def quotes_of(
    theta: list[float], rho: list[float], psi: list[float], *, noise: float = 0.0, points: int = 21
) -> list[SliceQuotes]:
    """Return simulated quotes of SSVI slices, error bars of half a vol point."""
    found = []
    for i, (level, tilt, scale) in enumerate(zip(theta, rho, psi, strict=True)):
        days = 7 * 2**i
        tau = days / 365
        k = np.linspace(-2.5, 2.0, points) * np.sqrt(level)
        w = essvi_w(level, tilt * scale, scale, k)
        vol = np.sqrt(w / tau) + noise * stream(i, "quotes").normal(0.0, 1.0, points)
        error = 2.0 * vol * tau * 0.005
        w = vol**2 * tau
        found.append(
            SliceQuotes(
                expiry=START + pd.Timedelta(days=days), tau=tau, forward=100.0, k=k, w=w, error=error,
                w_bid=w - error, w_ask=w + error,
            )
        )  # fmt: skip
    return found


@pytest.fixture(scope="module")
def chains() -> dict[str, tuple[EssviSurface, EssviSurface]]:
    """Return every real chain fitted with the exact and with the sufficient bound."""
    found = {}
    for name in NAMES:
        quotes = read_quotes(datasets.path(name))
        found[name] = fit(quotes, model="essvi"), fit(quotes, model="essvi", bound="gj")
    return found


@pytest.mark.parametrize("name", NAMES)
def test_real_chains_have_no_arbitrage_and_every_expiry_fits(
    chains: dict[str, tuple[EssviSurface, EssviSurface]], name: str
) -> None:
    for surface in chains[name]:
        report, status = surface.arbitrage(), surface.status
        assert report["free"].all() and (report["butterfly_margin"] > 0.0).all()
        assert (report["calendar_min"].dropna() > 0.0).all()
        assert set(status["status"]) <= {"ok", "at_bound"} and len(status) >= 12
        assert (status["detail"].ne("") == status["status"].ne("ok")).all()
        assert surface.evaluations < 500
        share = float((status["inside"] * status["points"]).sum() / status["points"].sum())
        assert 0.58 < share < 0.85
        assert (status["rmse_iv"] < 0.06).all()
    exact, plain = chains[name]
    assert (exact.psi <= psi_max(exact.theta, exact.rho)).all()
    assert (plain.psi <= psi_max(plain.theta, plain.rho, "gj")).all()


def test_the_share_of_quotes_inside_lies_between_ssvi_and_svi(
    chains: dict[str, tuple[EssviSurface, EssviSurface]],
) -> None:
    def share(status: pd.DataFrame) -> float:
        return float((status["inside"] * status["points"]).sum() / status["points"].sum())

    for name in NAMES:
        quotes = read_quotes(datasets.path(name))
        one = share(fit(quotes, model="ssvi").status)
        own = share(fit(quotes, model="svi").status)
        assert one < share(chains[name][0].status) < own


def test_without_noise_the_parameters_come_back() -> None:
    theta, rho, psi = [0.005, 0.012, 0.03, 0.05], [-0.2, -0.35, -0.3, -0.4], [0.05, 0.09, 0.15, 0.2]
    found = fit_essvi(quotes_of(theta, rho, psi))
    assert found.converged and found.evaluations < 200 and set(found.bounds) == {""}
    assert found.curves.theta == pytest.approx(theta, rel=1e-7)
    assert found.curves.rho == pytest.approx(rho, abs=1e-6)
    assert found.curves.psi == pytest.approx(psi, rel=1e-6)
    assert found.loss < 1e-8


def test_it_finds_the_optimum_of_a_search_under_smooth_constraints() -> None:
    quotes = quotes_of(
        [0.006, 0.012, 0.02, 0.05], [-0.1, -0.5, -0.2, -0.4], [0.1, 0.12, 0.14, 0.25], noise=0.004
    )
    found = fit_essvi(quotes)
    n = len(quotes)

    def unpack(y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        up, down = y[n : 2 * n], y[2 * n :]
        return np.exp(y[:n]), (up - down) / (up + down), 0.5 * (up + down)

    def loss(y: np.ndarray) -> float:
        slices = zip(quotes, *unpack(y), strict=True)
        return sum(
            float(np.sum(((essvi_w(t, r * p, p, q.k) - q.w) / q.error) ** 2)) for q, t, r, p in slices
        ) / found.loss  # fmt: skip

    def conditions(y: np.ndarray) -> np.ndarray:
        theta, rho, psi = unpack(y)
        return np.concatenate(
            [
                np.diff(y[n : 2 * n]),
                np.diff(y[2 * n :]),
                -np.diff(psi / theta),
                psi_max(theta, np.clip(rho, -0.999, 0.999)) - psi,
            ]
        )

    curves = found.curves
    begin = np.concatenate(
        [np.log(curves.theta), curves.psi * (1 + curves.rho), curves.psi * (1 - curves.rho)]
    )
    other = minimize(
        loss, begin, method="SLSQP", constraints={"type": "ineq", "fun": conditions},
        bounds=[(None, None)] * n + [(1e-6, None)] * (2 * n), options={"maxiter": 300, "ftol": 1e-12},
    )  # fmt: skip
    assert other.fun > 1.0 - 2e-3


def test_the_exact_bound_fits_wings_that_the_sufficient_one_cannot() -> None:
    theta, rho = [0.004, 0.02], [-0.1, -0.1]
    psi = [1.6 * float(psi_max(0.004, -0.1, "gj")), 1.2 * float(psi_max(0.02, -0.1, "gj"))]
    quotes = quotes_of(theta, rho, psi)
    exact, plain = fit_essvi(quotes), fit_essvi(quotes, bound="gj")
    assert exact.curves.psi == pytest.approx(psi, rel=1e-5) and exact.bounds == ("", "")
    assert plain.bounds[0] == "the wings are at the butterfly bound" and plain.loss > 100.0
    assert (plain.curves.psi <= psi_max(plain.curves.theta, plain.curves.rho, "gj")).all()
    assert all(
        butterfly(one).free for one in (s.svi for s in fit_essvi_surface(quotes, curve_of(), {}).slices)
    )


def curve_of():  # type: ignore[no-untyped-def]
    return forward_curve(read_quotes(datasets.path(NAMES[0])), "BTC")


def test_wings_beyond_the_exact_bound_end_on_it() -> None:
    quotes = quotes_of([0.01], [0.2], [1.3 * float(psi_max(0.01, 0.2))])
    found = fit_essvi(quotes)
    assert found.bounds == ("the wings are at the butterfly bound",)
    surface = fit_essvi_surface(quotes, curve_of(), {})
    assert surface.slices[0].fit.status == "at_bound" and surface.arbitrage()["free"].all()
    assert "butterfly bound" in surface.status["detail"].iloc[0]


def test_falling_variance_across_expiries_is_held_up_and_named() -> None:
    # forward variance between the first two expiries is negative, the vols themselves look harmless
    quotes = quotes_of([0.0100, 0.0092, 0.03], [-0.2, -0.2, -0.2], [0.08, 0.08, 0.15])
    surface = fit_essvi_surface(quotes, curve_of(), {})
    assert surface.arbitrage()["free"].all() and len(surface.slices) == 3
    status = surface.status
    assert status["status"].iloc[1] == "at_bound"
    assert "held up by the expiry before" in status["detail"].iloc[1]
    assert status["chi2_per_dof"].iloc[1] > 5.0


def test_an_expiry_that_contradicts_the_others_is_left_out_as_degenerate() -> None:
    quotes = quotes_of([0.005, 0.012, 0.03, 0.06], [-0.2] * 4, [0.05, 0.09, 0.15, 0.2])
    wrong = quotes[1]
    quotes[1] = replace(wrong, w=wrong.w / 9.0, w_bid=wrong.w_bid / 9.0, w_ask=wrong.w_ask / 9.0)
    surface = fit_essvi_surface(quotes, curve_of(), {})
    row = surface.status.loc[wrong.expiry]
    assert row["status"] == "degenerate" and "nearest the money is off by" in row["detail"]
    assert [s.expiry for s in surface.slices] == [q.expiry for q in quotes if q.expiry != wrong.expiry]
    assert surface.arbitrage()["free"].all()
    assert surface.theta == pytest.approx([0.005, 0.03, 0.06], rel=1e-5)


def test_the_surface_of_the_day_before_starts_the_next() -> None:
    theta, rho, psi = [0.005, 0.012, 0.03, 0.05], [-0.2, -0.35, -0.3, -0.4], [0.05, 0.09, 0.15, 0.2]
    before = fit_essvi_surface(quotes_of(theta, rho, psi), curve_of(), {})
    later = quotes_of([1.05 * v for v in theta], rho, psi, noise=0.001)
    later = [replace(q, tau=q.tau - 1 / 365) for q in later]
    warm = fit_essvi_surface(later, curve_of(), {}, start=before)
    cold = fit_essvi_surface(later, curve_of(), {})
    assert warm.evaluations < cold.evaluations
    assert warm.theta == pytest.approx(cold.theta, rel=1e-5) and warm.psi == pytest.approx(cold.psi, rel=1e-4)
    # an expiry that is new today is read between the old ones, one that is gone is not missed
    fewer = fit_essvi_surface(later[1:], curve_of(), {}, start=before)
    more = fit_essvi_surface(later, curve_of(), {}, start=fewer)
    assert more.theta == pytest.approx(cold.theta, rel=1e-5)
    with pytest.raises(ParameterError, match="a start of type int; expected an EssviSurface"):
        fit_essvi_surface(later, curve_of(), {}, start=1)  # type: ignore[arg-type]
    with pytest.raises(ConventionError, match="a start of BTC for ETH"):
        fit(read_quotes(datasets.path(NAMES[2])), "essvi", start=before)


def test_a_robust_loss_reprices_more_quotes(chains: dict[str, tuple[EssviSurface, EssviSurface]]) -> None:
    for name in NAMES:
        robust = fit(read_quotes(datasets.path(name)), "essvi", loss="cauchy")
        pooled = [float((s.status["inside"] * s.status["points"]).sum()) for s in (robust, chains[name][0])]
        assert pooled[0] > 1.05 * pooled[1]
        assert robust.evaluations < 500 and robust.arbitrage()["free"].all()


def test_trap_03_the_anchored_slice_passes_through_its_quote() -> None:
    for rho, psi, k_star in ((-0.5, 0.2, 0.03), (0.4, 0.3, -0.05), (-0.9, 0.5, 0.02)):
        w_star = float(essvi_w(0.04, rho * psi, psi, k_star))
        theta = float(anchored_theta(w_star, k_star, rho, psi))
        assert theta == pytest.approx(0.04, rel=1e-13)
        wrong = w_star - rho * psi * k_star + psi**2 * k_star**2 * (1 - rho**2) / (4 * w_star)
        assert abs(float(essvi_w(wrong, rho * psi, psi, k_star)) - w_star) > 1e-6
    with pytest.raises(ParameterError, match="w_star is -1"):
        anchored_theta(-1.0, 0.0, 0.1, 0.1)


def test_input_that_cannot_be_fitted_is_refused() -> None:
    quotes = quotes_of([0.005, 0.012], [-0.2, -0.3], [0.05, 0.09])
    with pytest.raises(ParameterError, match="no expiry; expected each expiry once"):
        fit_essvi([])
    with pytest.raises(ParameterError, match="2 expiries, not ascending in time"):
        fit_essvi(quotes[::-1])
    with pytest.raises(ParameterError, match="2 points of 2026-08-08; expected 3 or more"):
        fit_essvi([quotes[0].take([0, 5])])
    with pytest.raises(ParameterError, match=r"error\[4\] of 2026-08-08 is nan"):
        error = quotes[0].error.copy()
        error[4] = np.nan
        fit_essvi([replace(quotes[0], error=error)])
    with pytest.raises(ParameterError, match="k of 2026-08-08 is not finite"):
        far = quotes[0].k.copy()
        far[-1] = np.inf
        fit_essvi([replace(quotes[0], k=far)])
    with pytest.raises(ParameterError, match="not positive"):
        replace(quotes[0], w=np.where(np.arange(21) == 3, np.nan, quotes[0].w))
    with pytest.raises(ParameterError, match="loss 'huber'; expected 'squared' or 'cauchy'"):
        fit_essvi(quotes, loss="huber")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="bound 'none'"):
        fit_essvi(quotes, bound="none")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="a start of 1 slices; expected 2, one per expiry"):
        fit_essvi(quotes, start=EssviCurves(np.array([0.1]), np.array([0.0]), np.array([0.1])))
    with pytest.raises(DataGapError, match="at least one expiry with three usable options"):
        fit_essvi_surface([], curve_of(), {})
    with pytest.raises(ParameterError, match="option 'starts' of model 'essvi'; expected bound, start, loss"):
        fit(read_quotes(datasets.path(NAMES[0])), "essvi", starts=3)


def test_expiries_with_too_few_quotes_are_named() -> None:
    quotes = read_quotes(datasets.path(NAMES[0]))
    curve = forward_curve(quotes, "BTC")
    vols = own_vols(quotes, curve)
    points, _ = slice_quotes(vols, curve, 3)
    expiry = points[4].expiry
    few = replace(vols, frame=vols.frame[(vols.frame["expiry"] != expiry) | (vols.frame["strike"] == 63_000)])
    surface = fit(quotes, "essvi", vols=few, curve=curve)
    row = surface.status.loc[expiry]
    assert row["status"] == "too_few_points" and "3 are needed" in row["detail"]
    assert surface.arbitrage()["free"].all()
    near, far = surface.slices[3], surface.slices[4]
    assert calendar(near.svi, far.svi).free


@pytest.mark.extra_data
def test_days_of_the_february_crash_fit_one_after_the_other(extra_data: Path) -> None:
    folder = extra_data / "deribit_chains_2026"
    before: EssviSurface | None = None
    for coin in ("BTC", "ETH"):
        panel = read_quote_panel(
            folder / f"{coin.lower()}_daily_dev_2025-12-30_2026-04-30.parquet", underlying=coin
        )
        before = None
        for quotes in panel.between("2026-02-04", "2026-02-08"):
            surface = fit(quotes, "essvi", start=before)
            assert surface.arbitrage()["free"].all() and surface.evaluations < 500
            assert set(surface.status["status"]) <= {"ok", "at_bound", "too_few_points"}
            assert len(surface.slices) >= 11
            before = surface
