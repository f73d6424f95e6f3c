"""Many trades at once under a rule equal one at a time."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from pmkit.core.errors import ConventionError, ParameterError, PmkitError, PmkitWarning
from pmkit.instruments import Position
from pmkit.instruments.deribit import parse_instrument
from pmkit.margin import rule, what_if, what_if_many

AS_OF = "2024-06-10T08:00:00Z"


@pytest.fixture(scope="module")
def account(make_account):
    return make_account(
        {"BTC-28JUN24-60000-C": -3.0, "BTC-PERPETUAL": 2_000.0, "BTC-27DEC24-50000-P": 1.0},
        {"BTC": 4.0, "USDC": 20_000.0},
    )


def deal(name, qty, price=None):
    return Position(instrument=parse_instrument(name, pd.Timestamp(AS_OF)), qty=qty, entry_price=price)


@pytest.fixture(scope="module")
def trades():
    return {
        "cover": deal("BTC-28JUN24-60000-C", 3.0),
        "dear put": deal("BTC-28JUN24-50000-P", 2.0, 0.03),
        "hedge": deal("BTC-PERPETUAL", -2_000.0),
        "cheap future": deal("BTC-27DEC24", 500.0, 60_000.0),
        "spread": [deal("BTC-28JUN24-70000-C", -1.0), deal("BTC-28JUN24-60000-C", 1.0)],
        "twice": [deal("BTC-PERPETUAL", 100.0), deal("BTC-PERPETUAL", 150.0, 59_000.0)],
    }


@pytest.mark.parametrize("name", ["es-fhs", "var-hs"])
def test_a_rule_from_a_measure_gives_the_figures_of_one_trade_at_a_time(account, trades, market, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PmkitWarning)
        kind = {"n_paths": 2_000, "vol_anchor": 0.6} if name == "es-fhs" else {}
        used = rule(name, as_of="2024-06-10", stale="warn", dynamics="sticky_strike", **kind)
        found = what_if_many(account, trades, market, used, threads=2)
        found.check()
        assert list(found.after.index) == list(trades)
        for label, trade in trades.items():
            alone = what_if(account, trade, market, used)
            assert found.before.im == alone.before.im
            for item in ("im", "mm", "im_equity", "equity", "excess", "margin_ratio"):
                single = float(getattr(alone.after, item))
                assert found.after.loc[label, item] == pytest.approx(single, rel=1e-9), (label, item)
    assert found.change.loc["cover", "im"] == found.after.loc["cover", "im"] - found.before.im
    assert len(found) == 6 and found.plot().get_xlabel().startswith("trade")
    assert list(found.summary().columns)[:2] == ["im", "im_change"]


def test_other_rules_are_asked_once_a_trade(account, trades, market):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PmkitWarning)
        used = rule("deribit-pm", as_of="2024-06-10", stale="warn")
        found = what_if_many(account, trades, market, used)
        for label, trade in trades.items():
            alone = what_if(account, trade, market, used)
            assert found.after.loc[label, "im"] == alone.after.im
            assert found.change.loc[label, "excess"] == alone.after.excess - alone.before.excess
    found.check()


def test_messages(account, market):
    with pytest.raises(ParameterError, match=r"^there is no trade"):
        what_if_many(account, {}, market, "deribit-pm", stale="warn")
    with pytest.raises(ParameterError, match=r"^trade 'odd' is \['x'\]; expected a Position or several"):
        what_if_many(account, {"odd": ["x"]}, market, "deribit-pm", stale="warn")
    for trade in (None, 5):
        with pytest.raises(ParameterError, match=rf"^trade is {trade}; expected a Position or several"):
            what_if(account, trade, market, "deribit-pm", stale="warn")
    for price in (float("nan"), -1.0):
        odd = deal("BTC-28JUN24-60000-C", 1.0, price)
        with pytest.raises(ParameterError, match=rf"^entry_price of BTC-28JUN24-60000-C is {price}"):
            what_if_many(account, {"odd": odd}, market, "deribit-pm", stale="warn")


def test_what_is_no_account_rule_or_table_of_trades(account, trades, market):
    with pytest.raises(ConventionError, match=r"^account is a Portfolio; expected an Account"):
        what_if(account.portfolio, trades["cover"], market, "deribit-pm")
    for asked in (what_if, what_if_many):
        with pytest.raises(ConventionError, match=r"^rule is a NoneType; expected the name of a rule"):
            asked(account, trades, market, None)
    with pytest.raises(ConventionError, match=r"^trades is a list; expected a Mapping"):
        what_if_many(account, [trades["cover"]], market, "deribit-pm", stale="warn")


def test_check_finds_a_broken_identity(account, trades, market):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PmkitWarning)
        found = what_if_many(account, {"cover": trades["cover"]}, market, "deribit-pm", stale="warn")
    for column, message in (("excess", "excess is not equity"), ("mm", "a requirement is negative")):
        wrong = found.after.assign(**{column: -np.abs(found.after[column]) - 1.0})
        with pytest.raises(PmkitError, match=message):
            type(found)(before=found.before, after=wrong).check()
