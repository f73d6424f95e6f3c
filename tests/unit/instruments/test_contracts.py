"""Contracts: every convention is a required field, and contradictions are refused."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pandas as pd
import pytest

from pmkit.core.errors import ConventionError, ParameterError
from pmkit.instruments import Future, Instrument, Option, Perpetual, Spot

COMMON: dict[str, Any] = {
    "name": "BTC-28AUG26-70000-C",
    "underlying": "BTC",
    "settlement": "inverse",
    "settlement_currency": "BTC",
    "multiplier": 1.0,
    "lot": 0.1,
}
OPTION: dict[str, Any] = COMMON | {"expiry": "2026-08-28T08:00:00Z", "strike": 70_000.0, "is_call": True}


@pytest.mark.parametrize("field", COMMON)
def test_every_convention_is_required(field: str) -> None:
    with pytest.raises(TypeError, match=field):
        Perpetual(**{k: v for k, v in COMMON.items() if k != field})


@pytest.mark.parametrize("field", ["expiry", "strike", "is_call"])
def test_every_term_of_an_option_is_required(field: str) -> None:
    with pytest.raises(TypeError, match=field):
        Option(**{k: v for k, v in OPTION.items() if k != field})


@pytest.mark.parametrize("field", ["multiplier", "lot"])
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_sizes_are_positive(field: str, value: float) -> None:
    with pytest.raises(
        ParameterError, match=f"{field} of BTC-28AUG26-70000-C is .*expected a positive number"
    ):
        Spot(**COMMON | {field: value})


@pytest.mark.parametrize("strike", [0.0, -70_000.0, math.nan, math.inf])
def test_strikes_are_positive(strike: float) -> None:
    with pytest.raises(ParameterError, match="strike of BTC-28AUG26-70000-C"):
        Option(**OPTION | {"strike": strike})


def test_settlement_is_one_of_two_words_and_fits_its_currency() -> None:
    with pytest.raises(ConventionError, match="'quanto'; expected 'linear' or 'inverse'"):
        Perpetual(**COMMON | {"settlement": "quanto"})
    with pytest.raises(ConventionError, match=r"inverse contract .* settles in USDC"):
        Perpetual(**COMMON | {"settlement_currency": "USDC"})
    assert not Perpetual(**COMMON | {"settlement": "linear", "settlement_currency": "USDC"}).is_inverse


@pytest.mark.parametrize("kind", [Future, Option])
def test_expiries_are_aware_and_utc(kind: type[Instrument]) -> None:
    terms = OPTION if kind is Option else COMMON | {"expiry": "2026-08-28T08:00:00Z"}
    assert kind(**terms).expiry == pd.Timestamp("2026-08-28T08:00", tz="UTC")  # type: ignore[attr-defined]
    for wrong, text in (("2026-08-28T08:00:00", "no time zone"), ("2026-08-28T10:00:00+02:00", "not in UTC")):
        with pytest.raises(ConventionError, match=f"column 'expiry'.*{text}"):
            kind(**terms | {"expiry": wrong})


def test_contracts_are_frozen_values() -> None:
    one, other = Option(**OPTION), Option(**OPTION)
    assert one == other and hash(one) == hash(other) and one.kind == "option" and one.is_inverse
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.strike = 1.0  # type: ignore[misc]
