"""Repair: least moves, inside bid and ask, no arbitrage left; infeasible exactly where one can be traded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import linprog

from pmkit.core.errors import ArbitrageError, ParameterError
from pmkit.core.random import stream
from pmkit.market import Quotes, datasets, read_quotes
from pmkit.pricing import black76
from pmkit.surface import (
    ForwardCurve,
    Repair,
    SliceQuotes,
    executable_arbitrage,
    filter_quotes,
    fit,
    forward_curve,
    repair,
)
from tests.unit.surface.index_chains import make_chain


def chain(days: tuple[int, ...] = (30, 79), step: float = 100.0) -> tuple[Quotes, ForwardCurve]:
    frame, _ = make_chain(days=days, step=step, spread=0.02)
    quotes = read_quotes(frame, expiry_time="20:00 UTC")
    return quotes, forward_curve(quotes, "SPX")


def shifted(quotes: Quotes, seed: int = 3) -> Quotes:
    """Return quotes whose bids and asks are widened on one side each: the same market, noisy mids."""
    rng = stream(seed, "noise")
    frame = quotes.frame.copy()
    width = (frame["ask"] - frame["bid"]).to_numpy()
    up = rng.random(len(frame)) < 0.5
    extra = rng.uniform(0.0, 2.0, len(frame)) * width
    frame["ask"] = frame["ask"] + np.where(up, extra, 0.0)
    frame["bid"] = np.maximum(frame["bid"] - np.where(up, 0.0, extra), 0.01)
    frame["mid"] = 0.5 * (frame["bid"] + frame["ask"])
    return replace(quotes, frame=frame)


def at_prices(quotes: Quotes, result: Repair) -> Quotes:
    """Return the repaired options quoted at their repaired prices."""
    frame = quotes.frame.merge(result.frame[["instrument", "price"]], on="instrument")
    for side in ("bid", "ask", "mid"):
        frame[side] = frame["price"]
    return replace(quotes, frame=frame.drop(columns="price"))


def test_prices_without_arbitrage_stay() -> None:
    quotes, curve = chain()
    frame = quotes.frame.copy()
    forward = np.array([curve.quotes[e].price for e in frame["expiry"]])
    df = np.array([curve.discount(e) for e in frame["expiry"]])
    tau = np.array([(e - quotes.as_of).total_seconds() / (365 * 86400) for e in frame["expiry"]])
    exact = black76(forward, frame["strike"].to_numpy(), tau, 0.2, df=df, is_call=frame["is_call"].to_numpy())
    frame["mid"], frame["bid"], frame["ask"] = exact, exact - 0.05 * exact, exact + 0.05 * exact
    found = repair(replace(quotes, frame=frame), curve)
    assert found.status == "ok" and found.moved == 0 and found.distance < 1e-9
    found.check()
    found.raise_if_bad()


@pytest.mark.parametrize("calendar", [True, False])
def test_noisy_mids_are_moved_inside_their_spreads(calendar: bool) -> None:
    quotes, curve = chain()
    noisy = shifted(quotes)
    assert executable_arbitrage(noisy, curve).ok, "nothing can be traded"
    found = repair(noisy, curve, calendar=calendar)
    assert found.status == "repaired" and found.moved > 0 and found.distance > 0.0
    found.check()
    left = executable_arbitrage(at_prices(noisy, found), curve).frame
    scale = 5000.0
    kinds = left[left["profit"] > 1e-6 * scale]["kind"].tolist()
    assert [k for k in kinds if calendar or k != "calendar"] == []
    assert found.summary().loc[0, "largest_in_half_spreads"] <= 1.0 + 1e-6


def test_ticks_are_counted_where_known() -> None:
    quotes, curve = chain((79,), step=25.0)
    found = repair(shifted(quotes), curve)
    np.testing.assert_allclose(found.frame["ticks"], found.frame["moved"] / 0.05)
    assert found.summary().loc[0, "largest_in_ticks"] > 1.0
    unknown = replace(quotes, frame=quotes.frame.assign(tick=np.nan))
    assert repair(shifted(unknown), curve).frame["ticks"].isna().all()


def test_the_least_move_on_three_strikes_by_hand() -> None:
    """One convexity constraint: only the price with the greatest coefficient moves, by half the violation."""
    quotes, curve = chain((30,))
    strikes = [5200.0, 5300.0, 5400.0]
    frame = quotes.frame[quotes.frame["strike"].isin(strikes) & quotes.frame["is_call"]].copy()
    for strike, mid in zip(strikes, (30.0, 22.0, 10.0), strict=True):
        frame.loc[frame["strike"] == strike, ["bid", "ask", "mid"]] = [mid - 3.0, mid + 3.0, mid]
    found = repair(replace(quotes, frame=frame), curve).frame.set_index("strike")
    # 22 may be at most 20: down by 2, cheaper than 30 or 10 up by 4
    np.testing.assert_allclose(found["moved"], [0.0, -2.0, 0.0], atol=1e-4)


def plain_repair(x: np.ndarray, bid: np.ndarray, ask: np.ndarray, group: np.ndarray) -> float | None:
    """Return the least sum of moves under every pairwise and triple condition, one row each; None if none."""
    rows, bounds = [], []

    def at_most(weights: dict[int, float], bound: float) -> None:
        row = np.zeros(2 * x.size)
        for i, weight in weights.items():
            row[i] += weight
        rows.append(row)
        bounds.append(bound)

    for j in range(x.size):
        others = [i for i in range(x.size) if group[i] >= group[j] and i != j]
        at_most({j: -1.0}, x[j] - 1.0)
        at_most({j: 1.0}, 1.0)
        for k in (k for k in others if x[k] > x[j]):
            # below the chord from (0, 1), and no steeper than -1 towards a later or equal expiry
            u = x[j] / x[k]
            at_most({j: 1.0, k: -u}, 1.0 - u)
            at_most({j: 1.0, k: -1.0}, x[k] - x[j])
        for i in (i for i in others if x[i] <= x[j]):
            at_most({j: 1.0, i: -1.0}, 0.0)
            for k in (k for k in others if x[k] > x[j]):
                u = (x[j] - x[i]) / (x[k] - x[i])
                at_most({j: 1.0, i: u - 1.0, k: -u}, 0.0)
    mid = 0.5 * (bid + ask)
    for j in range(x.size):
        at_most({j: 1.0, x.size + j: -1.0}, mid[j])
        at_most({j: -1.0, x.size + j: -1.0}, -mid[j])
    found = linprog(
        np.concatenate([np.zeros(x.size), np.ones(x.size)]),
        A_ub=np.array(rows),
        b_ub=np.array(bounds),
        bounds=[*zip(bid, ask, strict=True), *[(0.0, None)] * x.size],
        method="highs",
    )
    return None if found.x is None else float(found.fun)


def test_the_sparse_programme_finds_what_every_condition_written_out_finds() -> None:
    frame, _ = make_chain(days=(30, 51, 79), step=100.0, spread=0.02)
    quotes = read_quotes(frame, expiry_time="20:00 UTC")
    curve = forward_curve(quotes, "SPX")
    statuses = set()
    for seed in range(8):
        near = quotes.frame["strike"].between(5100.0, 5500.0) & quotes.frame["is_call"]
        noisy = shifted(replace(quotes, frame=quotes.frame[near]), seed)
        bump = stream(seed, "bump").normal(0.0, 8.0, len(noisy.frame))[:, None]
        moved = noisy.frame.copy()
        moved[["bid", "ask", "mid"]] = np.maximum(moved[["bid", "ask", "mid"]].to_numpy() + bump, 0.02)
        found = repair(replace(noisy, frame=moved), curve)
        F = np.array([curve.quotes[e].price for e in found.frame["expiry"]])
        scale = F * np.array([curve.discount(e) for e in found.frame["expiry"]])
        group = found.frame["expiry"].rank(method="dense").to_numpy()
        least = plain_repair(
            found.frame["strike"].to_numpy() / F,
            found.frame["bid"].to_numpy() / scale,
            found.frame["ask"].to_numpy() / scale,
            group,
        )
        statuses.add(found.status)
        if least is None:
            assert found.status == "infeasible"
        else:
            assert found.distance == pytest.approx(least, rel=1e-4, abs=1e-9)
    assert statuses == {"repaired", "infeasible"}


def test_infeasible_exactly_where_an_arbitrage_can_be_traded() -> None:
    quotes, curve = chain((30,))
    rng = stream(9, "feasible")
    outcomes = set()
    for _ in range(12):
        frame = quotes.frame[quotes.frame["is_call"] & (quotes.frame["strike"] >= 5050.0)].copy()
        bump = rng.normal(0.0, 1.2, len(frame))
        frame[["bid", "ask", "mid"]] = np.maximum(
            frame[["bid", "ask", "mid"]].to_numpy() + bump[:, None], 0.01
        )
        frame["ask"] = np.maximum(frame["ask"], frame["bid"])
        noisy = replace(quotes, frame=frame)
        status = repair(noisy, curve).status
        assert (status == "infeasible") == (not executable_arbitrage(noisy, curve).ok)
        outcomes.add(status)
    assert "infeasible" in outcomes and len(outcomes) > 1


def test_an_infeasible_chain_is_a_status_that_names_the_expiry() -> None:
    quotes = read_quotes(datasets.path("spx-yahoo-2026-07-31"))
    curve = forward_curve(quotes, "SPX")
    found = repair(filter_quotes(quotes, curve).quotes, curve, calendar=False)
    assert found.status == "infeasible"
    bad = {"2026-08-31", "2027-06-30", "2028-06-16", "2030-12-20"}
    assert {part[:10] for part in found.detail.split("; ")} == bad
    lost = found.frame[found.frame["price"].isna()]
    assert set(lost["expiry"].dt.strftime("%Y-%m-%d")) == bad and np.isnan(found.distance)
    with pytest.raises(ArbitrageError, match=r"repair is infeasible: 2026-08-31.*executable_arbitrage"):
        found.raise_if_bad()


@pytest.mark.parametrize(
    ("name", "moved"),
    [("deribit-btc-2026-08-01", 10), ("deribit-btc-2026-05-21", 12), ("deribit-eth-2026-05-21", 2)],
)
def test_coin_chains_need_few_moves(name: str, moved: int) -> None:
    quotes = read_quotes(datasets.path(name))
    curve = forward_curve(quotes, quotes.underlyings[0])
    found = repair(filter_quotes(quotes, curve).quotes, curve)
    assert found.status == "repaired" and found.moved == moved
    found.check()
    found.raise_if_bad()
    left = executable_arbitrage(at_prices(quotes, found), curve).frame
    assert (left["profit"] < 1e-6).all(), "shares of a coin: rounding of the programme"


def test_a_bid_above_every_value_is_infeasible() -> None:
    quotes, curve = chain((30,))
    frame = quotes.frame.copy()
    at = frame["instrument"] == "SPX-31JUL26-5400-C"
    frame.loc[at, ["bid", "ask", "mid"]] = [9000.0, 9100.0, 9050.0]
    found = repair(replace(quotes, frame=frame), curve)
    assert found.status == "infeasible" and "no prices inside bid and ask" in found.detail


def test_a_surface_through_repaired_prices_has_no_arbitrage_between_its_strikes() -> None:
    quotes, curve = chain(step=50.0)
    noisy = shifted(quotes)
    found = repair(noisy, curve)
    assert found.status == "repaired"
    surface = fit(found.applied_to(noisy), "linear", curve=curve)
    plain = fit(noisy, "linear", curve=curve)
    worst = {"repaired": np.inf, "plain": np.inf}
    for name, one in (("repaired", surface), ("plain", plain)):
        for s in one.slices:
            x = np.exp(s.k)
            c = black76(1.0, x, 1.0, np.sqrt(s.w))
            share = (x[1:-1] - x[:-2]) / (x[2:] - x[:-2])
            excess = (1.0 - share) * c[:-2] + share * c[2:] - c[1:-1]
            worst[name] = min(worst[name], float(excess.min()))
    assert worst["repaired"] > -1e-7 > -1e-5 > worst["plain"]
    # error bars and the share inside bid and ask are those of the quotes
    one = surface.slices[0]
    assert isinstance(one, SliceQuotes) and one.inside(one.w).all()
    assert found.applied_to(noisy).frame["bid"].equals(noisy.frame["bid"])


def test_prices_outside_are_found() -> None:
    quotes, curve = chain((30,))
    found = repair(shifted(quotes), curve)
    wrong = replace(found, frame=found.frame.assign(price=found.frame["ask"] * 1.1 + 1.0))
    with pytest.raises(ParameterError, match="prices outside bid and ask"):
        wrong.check()
