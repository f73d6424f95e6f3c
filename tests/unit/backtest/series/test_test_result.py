"""The shape of a test result: identities, frames, JSON, display."""

from __future__ import annotations

import dataclasses
import json
import pickle

import pandas as pd
import pytest

from pmkit.backtest import BacktestTest
from pmkit.backtest.var_tests import (
    basel_zone,
    binomial_exact,
    christoffersen,
    christoffersen_independence,
    kupiec,
)
from pmkit.core.errors import ParameterError

RESULTS = [
    kupiec(n=250, x=5, p=0.01),
    binomial_exact(n=250, x=5, p=0.01),
    basel_zone(n=250, x=5, p=0.01),
    christoffersen(n00=240, n01=4, n10=4, n11=1, p=0.01),
    christoffersen_independence(hits=[False] * 20),
]


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: result.name)
def test_every_result_can_be_shown_stored_and_compared(result):
    record = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    fields = {item.name for item in dataclasses.fields(result)}
    assert fields | {"expected", "p_value", "decision_exact"} == set(record)
    assert record["n"] == result.n and record["decision"] == result.decision
    assert result.summary().index.tolist() == [result.name]
    assert result.to_frame()["decision"].item() == result.decision
    text, page = repr(result), result._repr_html_()
    assert text.startswith(f"{type(result).__name__}: {result.name}\n") and " at 0x" not in text
    assert page.startswith("<h4>") and "decision" in page
    assert pickle.loads(pickle.dumps(result)) == result
    assert result.cite() == result.references != ()
    assert result.h0 and result.h1 and result.sidedness in ("two-sided", "greater")


def test_summaries_stack_into_one_table():
    table = pd.concat([result.summary() for result in RESULTS])
    assert table.index.tolist() == [result.name for result in RESULTS]
    assert table.loc["Kupiec proportion of failures", "expected"] == 2.5


def test_display_does_not_depend_on_pandas_options():
    result = kupiec(n=1043, x=57, p=0.05)
    with pd.option_context("display.precision", 2, "display.width", 20):
        assert repr(result) == repr(kupiec(n=1043, x=57, p=0.05))
    assert "0.4614664, chi2(1) under H0" in repr(result)
    assert "not_rejected (by the asymptotic p-value; exact: not_rejected)" in repr(result)


def test_p_value_is_the_one_behind_the_decision():
    asymptotic, exact = kupiec(n=250, x=6, p=0.01), basel_zone(n=250, x=6, p=0.01)
    assert asymptotic.p_value == asymptotic.p_asymptotic and asymptotic.decision == "not_rejected"
    assert asymptotic.decision_exact == "rejected"
    assert exact.p_value == exact.p_exact


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"decision": "rejected"}, "decision is 'rejected' where the numbers say 'not_rejected'"),
        ({"statistic": 99.0}, "decision is 'not_rejected' where the numbers say 'rejected'"),
        ({"p_exact": 1.5}, "p_exact is 1.5"),
        ({"p_asymptotic": -0.1}, "p_asymptotic is -0.1"),
        ({"x": 300}, "x is 300 of n = 250"),
    ],
)
def test_a_result_that_contradicts_itself_is_refused(change, message):
    with pytest.raises(ParameterError, match=message):
        dataclasses.replace(RESULTS[0], **change)


def test_a_result_is_frozen_and_keeps_its_own_details():
    with pytest.raises(dataclasses.FrozenInstanceError):
        RESULTS[0].decision = "rejected"
    details = {"a": 1.0}
    copy = dataclasses.replace(RESULTS[0], details=details)
    details["a"] = 2.0
    assert copy.details == {"a": 1.0}
    assert copy != RESULTS[0] and copy != "something else"
    assert isinstance(copy, BacktestTest)
