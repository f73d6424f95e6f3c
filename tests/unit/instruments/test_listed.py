"""Contracts of stock and futures exchanges: names, units, refusals."""

from __future__ import annotations

import pandas as pd
import pytest

from pmkit.core.errors import ParameterError, PmkitError
from pmkit.instruments import Spot, listed_future, listed_option, stock


def test_names_and_units() -> None:
    call = listed_option("SPX", "2026-09-18T20:00:00Z", 6000.0, True)
    assert (call.name, call.multiplier, call.settlement, call.lot) == (
        "SPX-18SEP26-6000-C",
        100.0,
        "linear",
        1.0,
    )
    assert call.expiry == pd.Timestamp("2026-09-18T20:00:00Z") and call.settlement_currency == "USD"
    assert listed_option("XYZ", "2026-09-18T20:00:00Z", 7.5, False).name == "XYZ-18SEP26-7d5-P"
    future = listed_future("NIFTY", "2026-09-24T10:00:00Z", multiplier=75.0, currency="INR")
    assert (future.name, future.multiplier, future.settlement_currency) == ("NIFTY-24SEP26", 75.0, "INR")
    assert isinstance(stock("XYZ"), Spot) and not stock("XYZ").is_inverse


def test_bad_values_are_named() -> None:
    with pytest.raises(ParameterError, match=r"strike of SPX-18SEP26--1-C is -1\.0"):
        listed_option("SPX", "2026-09-18T20:00Z", -1.0, True)
    with pytest.raises(ParameterError, match="multiplier of ES-18SEP26 is 0"):
        listed_future("ES", "2026-09-18T20:00Z", multiplier=0.0)
    with pytest.raises(PmkitError, match="expiry"):
        listed_future("ES", "September", multiplier=50.0)
