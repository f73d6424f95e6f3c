"""Computed cases of the standard initial margin model, equity, version 2.6, ten days, by hand."""

from __future__ import annotations

import pytest

from pmkit.margin.parameters import load_parameter_sets
from pmkit.margin.rules.simm import Sensitivity, simm_margin
from pmkit.margin.rules.simm.aggregate import volatility
from pmkit.margin.schemas import SimmParameters

TABLE: SimmParameters = load_parameter_sets("simm")[0].table("*")


def test_delta_of_three_names_in_two_buckets() -> None:
    held = [Sensitivity("A", 5, 1e5), Sensitivity("B", 5, -6e4), Sensitivity("C", 11, -5e4)]
    assert simm_margin(TABLE, held).delta == pytest.approx(2_726_862.67, abs=0.005)
    assert simm_margin(TABLE, held[:2]).delta == pytest.approx(2_676_863.84, abs=0.005)
    assert simm_margin(TABLE, held[2:]).delta == pytest.approx(950_000.0, abs=1e-6)


def test_vega_and_curvature_of_a_long_option() -> None:
    found = simm_margin(TABLE, [Sensitivity("A", 5, 0.0, ((91.25, 20_000.0),))])
    assert volatility(TABLE, 5) == pytest.approx(57.0665, abs=5e-5)
    assert found.vega == pytest.approx(308_159.01, abs=0.005)
    assert found.curvature == pytest.approx(580_912.10, abs=0.005)
    assert found.curvature / (1.0 + 5.634897) == pytest.approx(87_554.06, abs=0.01)


def test_written_option_has_vega_but_no_curvature() -> None:
    found = simm_margin(TABLE, [Sensitivity("A", 5, 0.0, ((91.25, -20_000.0),))])
    assert found.vega == pytest.approx(308_159.01, abs=0.005)
    assert found.curvature == 0.0


def test_volatility_index_has_no_curvature() -> None:
    found = simm_margin(TABLE, [Sensitivity("V", 12, 0.0, ((30.0, 20_000.0),))])
    assert found.curvature == 0.0 and found.vega > 0.0


def test_concentration_above_the_threshold() -> None:
    # four times the threshold of bucket 5 in USD per 1 %: the weight doubles
    found = simm_margin(TABLE, [Sensitivity("A", 5, 4.0 * 12e6)])
    assert found.delta == pytest.approx(26.0 * 48e6 * 2.0, rel=1e-12)


def test_residual_bucket_adds_up() -> None:
    pair = [Sensitivity("A", 13, 1e4), Sensitivity("B", 5, -1e4)]
    apart = sum(simm_margin(TABLE, [one]).delta for one in pair)
    assert simm_margin(TABLE, pair).delta == pytest.approx(apart, rel=1e-12)
