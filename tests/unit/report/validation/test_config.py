"""Configurations and accounts: what is read, and what is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

import pmkit as pm
from pmkit.core.errors import ConventionError, DataGapError, ParameterError, SchemaError
from pmkit.margin import Account
from pmkit.report.validation import ValidationConfig, account_book, load_validation_config

Write = Callable[[str], str]
HEAD = 'title = "t"\npurpose = "p"\nscope = "s"\n'


def test_a_file_overrides_what_ships(write_config: Write) -> None:
    text = HEAD + 'model = "hs"\nchallenger = "fhs"\nstart = 2021-03-01\n[thresholds]\nrise_5d = 0.25\n'
    text += '[[book]]\nname = "half"\nlegs = [{underlying = "BTC", kind = "perpetual", weight = 0.5}]\n'
    config = load_validation_config(write_config(text))
    assert (config.model, config.start, config.rise_5d, config.peak_to_trough) == (
        "hs",
        "2021-03-01",
        0.25,
        5.0,
    )
    assert [book.name for book in config.books] == ["half"] and config.window == 365
    assert config.fingerprint != replace(config, level=0.995).fingerprint
    assert config.p == 0.01


@pytest.mark.parametrize(
    ("text", "error", "match"),
    [
        ("title = ", SchemaError, r"model\.toml is not TOML"),
        ('title = "t"\n', SchemaError, r"model\.toml has no purpose"),
        (HEAD, SchemaError, r"model\.toml has no books"),
        (HEAD + 'books = "long_btc"\n', SchemaError, r"books of model\.toml are no list"),
        (HEAD + 'books = ["gold"]\n', ParameterError, "no preset book 'gold'"),
        (HEAD + 'books = ["long_btc"]\nlevl = 0.99\n', SchemaError, r"unknown field 'levl'"),
        (HEAD + 'books = ["long_btc"]\n[thresholds]\nfall = 1\n', SchemaError, r"\[thresholds\].*'fall'"),
        (HEAD + 'books = ["long_btc"]\n[sensitivity]\nfoo = [1]\n', ParameterError, "sensitivity to 'foo'"),
        (HEAD + 'books = ["long_btc"]\nmodel = "hs"\n', ConventionError, "both 'hs'"),
        (
            HEAD + 'books = ["long_btc"]\nmodel = "magic"\n',
            ParameterError,
            "model is 'magic'; expected one of fhs, hs",
        ),
        (HEAD + 'books = ["long_btc"]\n[sensitivity]\nprice = [0.1]\n', ParameterError, "'price' under fhs"),
        (HEAD + 'books = ["long_btc", "long_btc"]\n', ParameterError, "each with a name of its own"),
        (HEAD + 'books = ["long_btc"]\nalpha = 0.95\n', ParameterError, r"alpha is 0\.95"),
        (HEAD + 'books = ["long_btc"]\n[thresholds]\nrise_5d = -1\n', ParameterError, "rise_5d is -1"),
        (HEAD + '[[book]]\nname = "x"\n', SchemaError, r"a \[\[book\]\] of model\.toml has name"),
        ('title = " "\npurpose = "p"\nscope = "s"\nbooks = ["long_btc"]\n', ParameterError, "title is ' '"),
    ],
)
def test_what_is_wrong_is_named(write_config: Write, text: str, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        load_validation_config(write_config(text))


def test_a_missing_file() -> None:
    with pytest.raises(ParameterError, match=r"configuration nowhere\.toml cannot be read"):
        load_validation_config("nowhere.toml")


def test_the_shipped_configuration_names_what_it_judges() -> None:
    config = load_validation_config()
    assert isinstance(config, ValidationConfig) and config.history == "crypto-daily-2020-2023"
    assert len(config.sensitivity) >= 4


def test_an_account_becomes_a_book_of_gross_notional_one() -> None:
    market = pm.market.load_snapshot("deribit-btc-2026-08-01")
    account = Account.from_csv(pm.datasets.path("account-market-maker"))
    book, left_out = account_book(account, market)
    assert sum(abs(leg.weight) for leg in book.legs) == pytest.approx(1.0, abs=1e-12)
    assert len(book.legs) + len(left_out) == len(account.portfolio) and left_out
    assert book.shortest_tenor > 1.0
    tail = account_book(account, market, horizon=30)[0]
    assert len(tail.legs) < len(book.legs) and tail.shortest_tenor > 30.0


def test_weights_of_coins_and_dollars_by_hand() -> None:
    market = pm.market.load_snapshot("deribit-btc-2026-08-01")
    rows = [
        {"type": "position", "instrument": name, "qty": qty, "as_of": "2026-08-01T17:58:04Z"}
        for name, qty in (("BTC-PERPETUAL", -1000.0), ("BTC-28AUG26-68000-C", 2.0))
    ]
    book, _ = account_book(Account.from_records(rows, name="two"), market)
    dollars, option = -1000.0 * 10.0, 2.0 * market.spot("BTC")
    gross = abs(dollars) + option
    weights = {leg.kind: leg.weight for leg in book.legs}
    assert weights["perpetual"] == pytest.approx(dollars / gross, rel=1e-12)
    assert weights["option"] == pytest.approx(option / gross, rel=1e-12)


def test_an_account_that_expires_tomorrow_is_refused() -> None:
    market = pm.market.load_snapshot("deribit-btc-2026-08-01")
    rows = [
        {"type": "position", "instrument": "BTC-2AUG26-62000-P", "qty": 1.0, "as_of": "2026-08-01T17:58:04Z"}
    ]
    with pytest.raises(DataGapError, match="no position that lives beyond 1 day"):
        account_book(Account.from_records(rows, name="late"), market)
