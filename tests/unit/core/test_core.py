"""Errors, instants, results, fingerprints, random streams and atomic writes."""

import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pmkit.core import errors
from pmkit.core.io import data_dir, write_atomic
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.random import stream
from pmkit.core.result import Result, format_number, jsonable
from pmkit.core.time import parse_utc, year_fraction


def test_error_message_names_place_found_expected_and_remedy() -> None:
    error = errors.SchemaError("qty is 'x'", "a number", "correct it", file="a.csv", row=3, column="qty")
    assert str(error) == "a.csv, row 3, column 'qty': qty is 'x'; expected a number; remedy: correct it"
    assert (error.file, error.row, error.column) == ("a.csv", 3, "qty")


@pytest.mark.parametrize(
    ("child", "builtin"),
    [
        (errors.SchemaError, ValueError),
        (errors.DataGapError, LookupError),
        (errors.ThinTailError, errors.DataGapError),
        (errors.LookAheadError, RuntimeError),
        (errors.RuleVersionError, LookupError),
        (errors.OptionalDependencyError, ImportError),
    ],
)
def test_every_error_is_caught_by_the_matching_builtin(child: type, builtin: type) -> None:
    assert issubclass(child, errors.PmkitError)
    assert issubclass(child, builtin)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("2026-08-01T17:58:04", "no time zone"),
        ("2026-08-01T17:58:04+02:00", "not in UTC"),
        ("yesterday", "not an instant"),
        ("", "missing"),
        (None, "not an instant"),
        (20260801, "not an instant"),
        ("17:58Z", "not an instant"),
        ("08/01/2026 10:00Z", "not an instant"),
        ("1-1-1 00:00Z", "not an instant"),
    ],
)
def test_instants_that_are_not_utc_are_refused(value: object, words: str) -> None:
    with pytest.raises(errors.ConventionError, match=words):
        parse_utc(value)


def test_year_is_365_days_of_seconds() -> None:
    start = parse_utc("2026-08-01T17:58:04Z")
    assert year_fraction(start, start + pd.Timedelta(days=73)) == pytest.approx(0.2, abs=1e-15)
    assert year_fraction(start, start - pd.Timedelta(days=73)) == pytest.approx(-0.2, abs=1e-15)


def test_fingerprint_depends_on_bits_shape_and_order() -> None:
    a = np.array([1.0, 2.0, 3.0, 4.0])
    assert fingerprint(a) == fingerprint(a.copy())
    assert fingerprint(a) != fingerprint(a.reshape(2, 2))
    assert fingerprint(a) != fingerprint(np.nextafter(a, 9.0))
    assert Provenance(method="m", seed=1).id != Provenance(method="m", seed=2).id


def test_streams_are_reproducible_and_apart() -> None:
    assert stream(3, "a").random(4).tolist() == stream(3, "a").random(4).tolist()
    assert stream(3, "a").random() != stream(3, "b").random()
    assert stream(3, "a", 1).random() != stream(3, "a", 2).random()


def test_jsonable_turns_nan_and_infinity_into_null() -> None:
    assert jsonable({"a": math.nan, "b": [np.float64(1.5), pd.Timestamp("2026-01-01", tz="UTC")]}) == {
        "a": None,
        "b": [1.5, "2026-01-01T00:00:00+00:00"],
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (-1234.5, "-1,234.5"), (1e-9, "1e-09"), (math.inf, "inf"), (999999.999999, "1,000,000")],
)
def test_format_number(value: float, text: str) -> None:
    assert format_number(value) == text


def test_result_display_is_its_summary_and_holds_no_address() -> None:
    class Small(Result):
        def summary(self) -> pd.DataFrame:
            return pd.DataFrame({"value": [1.0]}, index=["x"])

    assert " object at 0x" not in repr(Small())
    assert repr(Small()) == repr(Small())
    assert "<table" in Small()._repr_html_()
    assert Small().to_dict() == {"index": ["x"], "value": [1.0]}


def test_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = write_atomic(tmp_path / "sub" / "a.txt", "old")

    def refuse(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        write_atomic(target, "new")
    assert target.read_text() == "old"
    assert [p.name for p in target.parent.iterdir()] == ["a.txt"]


def test_data_folder_is_found() -> None:
    assert (data_dir() / "manifest.json").is_file()
