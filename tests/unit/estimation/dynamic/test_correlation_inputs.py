"""Residuals that no correlation model should take, and what the message says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from pmkit.core.errors import ConventionError, DataGapError, ParameterError, PmkitError, SchemaError
from pmkit.core.random import stream
from pmkit.estimation import fit_correlation
from pmkit.estimation.dynamic.correlation_inputs import canonical_order, checked_residuals

DATES = pd.date_range("2022-01-01", periods=150)


def good() -> pd.DataFrame:
    return pd.DataFrame(stream(6, "inputs").standard_normal((150, 3)), index=DATES, columns=list("abc"))


def changed(column: str, values: Any) -> pd.DataFrame:
    return good().assign(**{column: values})


CASES: list[tuple[Any, type[PmkitError], str]] = [
    (good()["a"], SchemaError, "residuals are a Series"),
    (good()[["a"]], SchemaError, r"residuals of 1 asset\(s\)"),
    (good().set_axis(["a", "a", "b"], axis=1), SchemaError, "column 'a' is repeated"),
    (good().iloc[::-1], SchemaError, "out of order or repeated at 2022-05-29"),
    (changed("b", "x"), SchemaError, "residuals have types"),
    (
        changed("b", np.where(np.arange(150) == 7, np.nan, 1.0)),
        ParameterError,
        "first nan of 'b' at 2022-01-08.*dates that all assets share",
    ),
    (changed("b", np.inf), ParameterError, "150 residual"),
    (changed("b", 1.0), ParameterError, "all 150 residuals of 'b' equal 1"),
    (changed("b", 0.02 * good()["b"]), ConventionError, "mean square of 'b' is 0.0.*fit_volatility"),
    (changed("b", 30.0 + good()["b"]), ConventionError, "mean square of 'b' is 9"),
    (changed("b", 5.0 * good()["b"]), ConventionError, "no standardised residuals"),
    (changed("b", -good()["a"]), ParameterError, "'a', 'b' are perfectly collinear"),
    (
        changed("b", (good()["a"] + good()["c"]) / np.sqrt(2.0)),
        ParameterError,
        "'a', 'c' are perfectly collinear|'b', .* are perfectly collinear",
    ),
    (good().iloc[:60], DataGapError, "60 rows of residuals of 3 assets; expected at least 100"),
    (
        {"a": good()["a"], "b": good()["b"].iloc[3:]},
        DataGapError,
        "'b' and 'a' have unequal calendars: 147 and 150 dates, 3 not shared, first 2022-01-01",
    ),
    ({"a": good()["a"], "b": [1.0]}, SchemaError, "residuals of 'b' are a list"),
]


@pytest.mark.parametrize(("residuals", "error", "message"), CASES)
@pytest.mark.parametrize("model", ["ewma", "cdcc"])
def test_bad_residuals(residuals: Any, error: type[PmkitError], message: str, model: Any) -> None:
    with pytest.raises(error, match=message):
        fit_correlation(residuals, model)


def test_fewer_rows_than_assets() -> None:
    wide = pd.DataFrame(stream(2, "wide").standard_normal((110, 120)))
    with pytest.raises(DataGapError, match=r"at least 121: the target alone has 7140 parameters"):
        fit_correlation(wide, "dcc", likelihood="composite")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model": "gogarch"}, "model is 'gogarch'"),
        ({"likelihood": "profile"}, "likelihood is 'profile'"),
        ({"pairs": "random"}, "pairs 'random'"),
        ({"model": "deco", "likelihood": "composite"}, "deco with the composite likelihood"),
        ({"model": "ewma", "decay": 1.0}, "decay is 1.0"),
        ({"lags": -1}, "lags is -1"),
    ],
)
def test_bad_words(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        fit_correlation(good(), **given)


def test_series_of_one_calendar_are_a_table() -> None:
    frame = good()
    one = fit_correlation({name: frame[name] for name in frame}, "ccc")
    assert one.residuals.equals(checked_residuals(frame, fewest=1))
    assert one.next_correlation.equals(fit_correlation(frame, "ccc").next_correlation)


def test_names_of_several_types_have_an_order() -> None:
    assert canonical_order(pd.Index(["b", 2, "a", 10])).tolist() == [3, 1, 2, 0]


def test_independent_residuals_end_with_a_status() -> None:
    """Nothing moves: the search ends at the edge of the region, and says so or gives wide bounds."""
    fit = fit_correlation(good(), "dcc")
    assert fit.status in ("ok", "at_bound")
    assert fit.loglikelihood >= fit_correlation(good(), "ccc").loglikelihood - 1e-6
