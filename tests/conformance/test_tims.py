"""Computed cases of the ten points, and the published minimum, re-typed with their figures.

The straddles and the two indices are own computations with flat vol; the minimum of a long straddle is
printed in the sheet *Margin Requirement Examples for Sample Options-based Positions* of Cboe (2007).
"""

from __future__ import annotations

import numpy as np
import pytest

from pmkit.margin import rule
from pmkit.margin.parameters import ParameterSet, load_parameter_sets
from pmkit.margin.rules.tims import group_vector, scan_group
from pmkit.pricing import black76
from tests.unit.margin.listed_books import Leg, account, contract, market, requirement

STRADDLES = (
    -6244.97, -4022.80, -2210.61, -898.81, -152.11, -434.37, -1414.07, -2874.15, -4736.94, -6922.32,
)  # fmt: skip
A = (40.0, 30.0, 18.0, 8.0, -3.0, -14.0, -26.0, -40.0, -55.0, -70.0)
B = (-52.0, -41.0, -30.0, -20.0, -10.0, 9.0, 19.0, 28.0, 38.0, 47.0)


def customer(underlying: str, **values: object) -> tuple[ParameterSet, ...]:
    """Return the customer set with other values for one underlying."""
    return (load_parameter_sets("tims")[0].with_values(underlying, **values),)


def test_ten_short_straddles_over_fifteen_percent() -> None:
    price = float(black76(100.0, 100.0, 60.0 / 365.0, 0.3))
    legs: tuple[Leg, ...] = (("C", 100.0, -10.0, price), ("P", 100.0, -10.0, price))
    found = requirement("tims", 100.0, legs, parameters=customer("*", european=True))
    np.testing.assert_allclose(found.figures["classes"].to_numpy()[0], STRADDLES, atol=0.005)
    assert found.im == found.mm == pytest.approx(6922.32, abs=0.005)
    assert found.figures["groups"].loc["XYZ", "minimum"] == 750.0
    assert found.worst_scenario.name == "XYZ: point 10"
    assert found.im_equity == found.im


@pytest.mark.parametrize(("offset", "expected"), [(0.90, 27.70), (0.50, 46.50), (0.0, 122.0)])
def test_two_correlated_indices_as_vectors(offset: float, expected: float) -> None:
    whole = scan_group(group_vector(np.array([A, B]), offset), 0.0)
    apart = sum(scan_group(np.array(v), 0.0).requirement for v in (A, B))
    assert (apart if offset == 0.0 else whole.requirement) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("offset", "expected"), [(0.90, 27.70), (0.50, 46.50)])
def test_two_correlated_indices_through_the_rule(offset: float, expected: float) -> None:
    legs: dict[str, tuple[Leg, ...]] = {
        "SPX": (("C", 100.0, 1.0, 6.0),),
        "OEX": (("P", 100.0, 1.0, 6.0),),
    }
    base = load_parameter_sets("tims")[0]
    for underlying in legs:
        base = base.with_values(underlying, product_offset=offset, minimum_per_contract=0.0)
    theoretical = {
        contract(legs["SPX"][0], "SPX").name: [6.0 + x / 100.0 for x in A],
        contract(legs["OEX"][0], "OEX").name: [6.0 + x / 100.0 for x in B],
    }
    made = rule("tims", parameters=(base,), theoretical=theoretical)
    snapshot = market({"SPX": 100.0, "OEX": 100.0}, legs)
    assert made.requirement(account(legs), snapshot).im == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("underlying", "spot", "legs"),
    [
        ("IBM", 97.73, (("C", 100.0, 100.0, 1.68), ("P", 100.0, 100.0, 3.18))),
        ("SPX", 1451.19, (("C", 1450.0, 100.0, 27.56), ("P", 1450.0, 100.0, 18.72))),
    ],
)
def test_published_minimum_of_long_straddles(underlying: str, spot: float, legs: tuple[Leg, ...]) -> None:
    # the printed 7,500 is the minimum; the scan is set aside by a range that is next to nothing
    still = customer("SPX" if underlying == "SPX" else "*", european=True, down=1e-6, up=1e-6)
    found = requirement("tims", spot, legs, underlying, parameters=still)
    assert found.im == pytest.approx(7500.0, abs=1e-9)
    assert found.addons["minimum above the scan"] == pytest.approx(7500.0, abs=1.0)


def test_minimum_of_a_long_option_is_at_most_its_value() -> None:
    legs: tuple[Leg, ...] = (("C", 130.0, 10.0, 0.10),)
    still = customer("*", european=True, down=1e-6, up=1e-6)
    assert requirement("tims", 100.0, legs, parameters=still).im == pytest.approx(100.0, abs=1e-2)


@pytest.mark.parametrize(
    ("variant", "underlying", "down", "up"),
    [
        ("customer", "SPX", 0.08, 0.06), ("customer", "RUT", 0.10, 0.10), ("customer", "XYZ", 0.15, 0.15),
        ("broker-dealer", "SPX", 0.10, 0.10), ("market-maker", "SPX", 0.08, 0.06),
        ("market-maker", "NDX", 0.10, 0.10),
    ],
)  # fmt: skip
def test_published_ranges(variant: str, underlying: str, down: float, up: float) -> None:
    # a stock or fund of 100 at the edges of its range
    found = requirement("tims", 100.0, (("S", 0.0, 1.0, 0.0),), underlying, variant=variant)
    assert found.im == pytest.approx(100.0 * down, abs=1e-12)
    assert found.scenario_vector.max() == pytest.approx(100.0 * up, abs=1e-12)
    np.testing.assert_allclose(
        found.scenario_vector.to_numpy() / 100.0,
        [-down * x for x in (1.0, 0.8, 0.6, 0.4, 0.2)] + [up * x for x in (0.2, 0.4, 0.6, 0.8, 1.0)],
        atol=1e-15,
    )
