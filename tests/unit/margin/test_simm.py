"""The standard model on accounts: sensitivities, properties, every key, refusals; a twin with matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.errors import DataGapError, ParameterError, RuleVersionError
from pmkit.margin import rule
from pmkit.margin.parameters import load_parameter_sets
from pmkit.margin.rules.simm import Sensitivity, simm_margin
from pmkit.margin.schemas import SimmParameters
from tests.unit.margin.listed_books import Leg, requirement

SET = load_parameter_sets("simm")[0]
TABLE: SimmParameters = SET.table("*")
BUCKETS = {"XYZ": 5}
#: a date in the life of the version
DATE = "2024-01-02"
STOCK: tuple[Leg, ...] = (("S", 0.0, 1000.0, 0.0),)
CALL: tuple[Leg, ...] = (("C", 100.0, 10.0, 5.0),)

DELTAS = st.lists(st.floats(-1e5, 1e5), min_size=4, max_size=4)


def held(deltas: list[float]) -> list[Sensitivity]:
    return [Sensitivity(f"N{i}", b, d) for i, (b, d) in enumerate(zip((1, 1, 5, 11), deltas, strict=True))]


def twin(deltas: list[float]) -> float:
    """Return the delta margin with matrices, below all thresholds."""
    groups = {1: deltas[:2], 5: deltas[2:3], 11: deltas[3:]}
    gamma = {(1, 5): 0.14, (1, 11): 0.19, (5, 11): 0.32}
    k, s = [], []
    for bucket, values in groups.items():
        ws = TABLE.risk_weights[bucket - 1] * np.array(values)
        rho = np.full((ws.size, ws.size), TABLE.correlations[bucket - 1])
        np.fill_diagonal(rho, 1.0)
        k.append(float(np.sqrt(max(ws @ rho @ ws, 0.0))))
        s.append(float(np.clip(ws.sum(), -k[-1], k[-1])))
    total = float(np.square(k).sum())
    names = list(groups)
    for (a, b), g in gamma.items():
        total += 2.0 * g * s[names.index(a)] * s[names.index(b)]
    return float(np.sqrt(max(total, 0.0)))


@settings(max_examples=60)
@given(DELTAS)
def test_delta_margin_equals_the_twin(deltas: list[float]) -> None:
    assert simm_margin(TABLE, held(deltas)).delta == pytest.approx(twin(deltas), rel=1e-9, abs=1e-4)


@settings(max_examples=40)
@given(DELTAS, st.floats(0.1, 5.0))
def test_homogeneous_below_the_thresholds_and_symmetric(deltas: list[float], times: float) -> None:
    one = simm_margin(TABLE, held(deltas)).delta
    assert simm_margin(TABLE, held([times * d for d in deltas])).delta == pytest.approx(
        times * one, rel=1e-9, abs=1e-3
    )
    assert simm_margin(TABLE, held([-d for d in deltas])).delta == pytest.approx(one, rel=1e-12)


def test_concentration_breaks_homogeneity_and_subadditivity() -> None:
    one = simm_margin(TABLE, [Sensitivity("A", 5, 12e6)]).total
    two = simm_margin(TABLE, [Sensitivity("A", 5, 24e6)]).total
    assert two == pytest.approx(2.0 * 2.0**0.5 * one, rel=1e-12) and two > one + one


def test_sensitivities_of_an_account() -> None:
    stock = requirement("simm", 100.0, STOCK, buckets=BUCKETS, as_of=DATE)
    assert stock.im == stock.mm == pytest.approx(26.0 * 1000.0, rel=1e-12)
    found = requirement("simm", 100.0, CALL, buckets=BUCKETS, as_of=DATE)
    parts = found.figures["margin"]
    assert found.im == pytest.approx(parts.delta + parts.vega + parts.curvature, rel=1e-15)
    assert min(parts.delta, parts.vega, parts.curvature) > 0.0
    written = requirement("simm", 100.0, (("C", 100.0, -10.0, 5.0),), buckets=BUCKETS, as_of=DATE)
    assert written.figures["margin"].curvature == 0.0 and written.im < found.im
    assert {"SIM-2", "SIM-4", "SIM-5", "SIM-6", "SIM-7", "SIM-8"} == set(found.explain()["clause"])


def _at(key: str, bucket: int, value: float) -> tuple[float, ...]:
    values = list(getattr(TABLE, key))
    values[bucket - 1] = value
    return tuple(values)


PAIR = [Sensitivity("A", 5, 1e5, ((91.25, 2e4),)), Sensitivity("B", 5, 5e4), Sensitivity("C", 11, 5e4)]
#: key: lowest, highest, figure, direction
EXTREMES: dict[str, tuple[Any, Any, str, int]] = {
    "risk_weights": (_at("risk_weights", 5, 0.1), _at("risk_weights", 5, 500.0), "delta", 1),
    "correlations": (_at("correlations", 5, 0.0), _at("correlations", 5, 1.0), "delta", 1),
    "bucket_correlations": (
        tuple(tuple(0.0 for _ in row) for row in TABLE.bucket_correlations),
        tuple(tuple(1.0 for _ in row) for row in TABLE.bucket_correlations), "delta", 1,
    ),
    "delta_thresholds": (_at("delta_thresholds", 5, 1e-3), _at("delta_thresholds", 5, 1e6), "delta", -1),
    "vega_thresholds": (_at("vega_thresholds", 5, 1e-3), _at("vega_thresholds", 5, 1e6), "vega", -1),
    "vega_weights": (_at("vega_weights", 5, 0.01), _at("vega_weights", 5, 2.0), "vega", 1),
    "historical_vol_ratio": (0.1, 2.0, "vega", 1),
    "vol_days": (1.0, 365.0, "vega", -1),
    "vol_level": (0.9, 0.999, "vega", -1),
    "curvature_days": (1.0, 365.0, "curvature", 1),
    "curvature_level": (0.9, 0.9999, "curvature", 1),
    "curvature_free_bucket": (5, 0, "curvature", 1),
}  # fmt: skip


def test_every_key_is_covered() -> None:
    assert set(EXTREMES) == set(SimmParameters.model_fields)


@pytest.mark.parametrize("key", list(EXTREMES))
def test_every_key_moves_a_case_in_its_direction(key: str) -> None:
    low, high, figure, sign = EXTREMES[key]
    got = [
        getattr(simm_margin(SET.with_values("*", **{key: v}).table("*"), PAIR), figure) for v in (low, high)
    ]
    assert sign * (got[1] - got[0]) > 1.0


def test_commodities_are_refused_by_name() -> None:
    text = "'commodity-10d' of simm: most correlations between commodity buckets are not known"
    with pytest.raises(RuleVersionError, match=text):
        rule("simm", variant="commodity-10d")
    with pytest.raises(ParameterError, match="unknown variant 'rates' of simm; expected one of equity-10d"):
        rule("simm", variant="rates")


def test_refusals() -> None:
    with pytest.raises(DataGapError, match="no bucket for XYZ; expected a number from 1 to 12"):
        requirement("simm", 100.0, STOCK, as_of=DATE)
    with pytest.raises(ParameterError, match="bucket of XYZ is 14"):
        requirement("simm", 100.0, STOCK, buckets={"XYZ": 14}, as_of=DATE)
    for bad in (
        [Sensitivity("A", 0, 1.0)],
        [Sensitivity("A", 5, 1.0)] * 2,
        [Sensitivity("A", 5, float("nan"))],
    ):
        with pytest.raises(ParameterError, match="sensitivity of 'A' in bucket"):
            simm_margin(TABLE, bad)
    with pytest.raises(ParameterError, match="upper triangle of rows of 11 to 1"):
        SET.with_values("*", bucket_correlations=((0.1,),))
    with pytest.raises(ParameterError, match="at least 13 items"):
        SET.with_values("*", risk_weights=(1.0,))
