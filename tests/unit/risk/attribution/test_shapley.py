"""Shapley values: known games, the four axioms, sampling, and a rule with offsets."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.errors import ParameterError, PmkitError
from pmkit.core.random import stream
from pmkit.instruments import Portfolio
from pmkit.margin import rule
from pmkit.margin.accounts.account import Account
from pmkit.market import load_snapshot
from pmkit.risk import shapley

NAMES = ("a", "b", "c", "d", "e")


def by_orders(players: tuple[str, ...], value) -> dict[str, float]:
    """The definition: the mean gain over all orders of joining."""
    gains = dict.fromkeys(players, 0.0)
    orders = list(itertools.permutations(players))
    for order in orders:
        before = 0.0
        for at in range(len(order)):
            joined = tuple(p for p in players if p in order[: at + 1])
            after = value(joined)
            gains[order[at]] += after - before
            before = after
    return {p: g / len(orders) for p, g in gains.items()}


def random_game(seed: int):
    worth = {
        subset: float(x)
        for size in range(1, 6)
        for subset, x in zip(
            itertools.combinations(NAMES, size),
            stream(seed, "game", size).normal(0.0, 10.0, math.comb(5, size)),
            strict=True,
        )
    }
    return worth.__getitem__


def test_gloves() -> None:
    """One left glove and two right ones: 2/3, 1/6, 1/6."""
    found = shapley(["left", "r1", "r2"], lambda s: float("left" in s and len(s) > 1))
    assert found.table["value"].to_list() == pytest.approx([2 / 3, 1 / 6, 1 / 6], abs=1e-15)


def test_airport() -> None:
    """Runways of cost 1, 2, 4 for nested needs: 1/3, 1/3 + 1/2, 1/3 + 1/2 + 2."""
    cost = {"small": 1.0, "middle": 2.0, "large": 4.0}
    found = shapley(list(cost), lambda s: max(cost[p] for p in s))
    assert found.table["value"].to_list() == pytest.approx([1 / 3, 5 / 6, 17 / 6])
    assert found.table["standalone"].to_list() == [1.0, 2.0, 4.0]
    assert found.table["last"].to_list() == [0.0, 0.0, 2.0]


@settings(max_examples=15)
@given(st.integers(0, 10**6))
def test_definition_and_axioms(seed: int) -> None:
    one, two = random_game(seed), random_game(seed + 1)
    first, second = (shapley(NAMES, g).table["value"] for g in (one, two))
    expected = by_orders(NAMES, one)
    assert first.to_dict() == pytest.approx(expected, abs=1e-10)
    assert float(first.sum()) == pytest.approx(one(NAMES), abs=1e-10)
    both = shapley(NAMES, lambda s: 2.0 * one(s) - 3.0 * two(s)).table["value"]
    assert both.to_dict() == pytest.approx((2.0 * first - 3.0 * second).to_dict(), abs=1e-9)


def test_symmetry_and_dummy() -> None:
    worth = [0.0, 3.0, 7.0, 8.0]

    def value(s: tuple[str, ...]) -> float:
        alike = sum(p in s for p in ("a", "b", "c"))
        return worth[alike] + (5.0 if "dummy" in s else 0.0)

    found = shapley(["a", "dummy", "b", "c"], value).table["value"]
    assert found["dummy"] == pytest.approx(5.0, abs=1e-14)
    assert found["a"] == pytest.approx(found["b"]) == pytest.approx(found["c"]) == pytest.approx(8.0 / 3.0)


def test_sampling_agrees_within_its_error_and_adds_up() -> None:
    game = random_game(3)
    exact = shapley(NAMES, game)
    sampled = shapley(NAMES, game, method="permutations", n_permutations=400, seed=1)
    sampled.check()
    assert (sampled.method, exact.method) == ("permutations", "exact")
    z = (sampled.table["value"] - exact.table["value"]) / sampled.table["se"]
    assert float(z.abs().max()) < 3.5
    more = shapley(NAMES, game, method="permutations", n_permutations=6400, seed=1)
    assert float((more.table["se"] / sampled.table["se"]).mean()) == pytest.approx(0.25, rel=0.15)
    again = shapley(NAMES, game, method="permutations", n_permutations=400, seed=1)
    assert again.table.equals(sampled.table)


def test_many_players_are_sampled_and_each_coalition_is_asked_once() -> None:
    asked: list[tuple[str, ...]] = []

    def value(s: tuple[str, ...]) -> float:
        asked.append(s)
        return float(len(s)) ** 1.5

    found = shapley([f"p{i}" for i in range(14)], value, n_permutations=100)
    assert found.method == "permutations"
    assert len(asked) == len(set(asked)) == found.evaluations
    assert found.table["value"].to_list() == pytest.approx([14**0.5] * 14, rel=0.35)
    assert found.total == pytest.approx(14**1.5)


def test_value_of_nobody() -> None:
    found = shapley(["a", "b"], lambda s: 10.0 + len(s), empty=10.0)
    assert found.total == 2.0
    assert found.table["value"].to_list() == [1.0, 1.0]


@pytest.mark.filterwarnings("ignore::pmkit.core.errors.PmkitWarning")
def test_desks_under_a_rule_with_a_worst_cell(root) -> None:
    """A requirement that is no smooth function: lines of an example account under Deribit's rule."""
    snap = load_snapshot("deribit-btc-2026-08-01")
    account = Account.from_csv(root / "data" / "accounts" / "short_straddle.csv")
    desks = {p.instrument.name: [p] for p in account.portfolio}
    venue = rule("deribit-pm", as_of="2026-08-01", stale="warn")

    def requirement(names: tuple[str, ...]) -> float:
        held: Portfolio = account.portfolio.with_positions(p for n in names for p in desks[n])
        return venue.requirement(account.with_portfolio(held), snap).im

    found = shapley(list(desks), requirement)
    found.check()
    assert found.total == pytest.approx(venue.requirement(account, snap).im, rel=1e-12)
    assert float(found.table["value"].min()) < float(found.table["standalone"].min())
    assert float(found.table["standalone"].sum()) > found.total


def test_display_and_check() -> None:
    found = shapley(["a", "b"], lambda s: float(len(s)))
    assert found.summary().index.to_list() == ["a", "b", "sum"]
    assert "sum 2" in found.plot().get_title()
    with pytest.raises(PmkitError, match="values add up to"):
        replace(found, total=3.0).check()


@pytest.mark.parametrize(
    ("players", "arguments", "message"),
    [
        ([], {}, "one or more distinct names"),
        (["a", "a"], {}, "one or more distinct names"),
        (["a"], {"method": "owen"}, "method is 'owen'"),
        ([str(i) for i in range(21)], {"method": "exact"}, "2,097,152 coalitions"),
        (
            ["a", "b"],
            {"method": "permutations", "n_permutations": 5},
            "n_permutations is 5; expected an even",
        ),
    ],
)
def test_bad_arguments(players: list[str], arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        shapley(players, lambda s: 1.0, **arguments)


def test_a_value_that_is_no_number() -> None:
    with pytest.raises(ParameterError, match="value of b is nan"):
        shapley(["a", "b"], lambda s: math.nan if s == ("b",) else 1.0)
    assert np.isfinite(shapley(["a"], lambda s: 1).total)


def test_an_order_and_its_reverse_settle_pairwise_games() -> None:
    """Where players only interact in pairs, any order with its reverse gives the value: no error left."""
    link = np.triu(stream(5, "pairs").normal(0.0, 1.0, (6, 6)))
    players = [str(i) for i in range(6)]

    def value(s: tuple[str, ...]) -> float:
        at = [int(p) for p in s]
        return float(link[np.ix_(at, at)].sum())

    found = shapley(players, value, method="permutations", n_permutations=8)
    np.testing.assert_allclose(found.table["value"], shapley(players, value).table["value"], atol=1e-12)
    assert float(found.table["se"].max()) < 1e-12
