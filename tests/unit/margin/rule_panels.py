"""One panel of lines for each rule: what quantities of them need, and what the account has left over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from pmkit.instruments import Portfolio, Position
from pmkit.margin import Account, MarginResult, rule
from pmkit.margin.engine.measure_rule import MeasureRule
from pmkit.market.snapshot import MarketSnapshot
from pmkit.pricing import black76
from tests.unit.margin import listed_books, test_span
from tests.unit.margin import test_derive_rules as derive

__all__ = ["LINES", "Panel", "panel"]

DERIBIT = (
    "BTC-PERPETUAL", "BTC-27DEC24", "BTC-14JUN24-60000-C", "BTC-28JUN24-50000-P", "BTC-28JUN24-90000-C",
)  # fmt: skip
DERIVE = ("ETH-PERPETUAL", "ETH-9d-3000-C", "ETH-9d-3600-C", "ETH-9d-2400-P", "ETH-60d-3000-P")
STABLE = ("BTC-PERP-USDT", "BTC-7d-60000-C-USDT", "BTC-30d-50000-P-USDT", "BTC-180d-60000-P-USDT",
          "BTC-30d-USDT")  # fmt: skip
OPTIONS = ("BTC-7d-60000-C-{}", "BTC-30d-50000-P-{}", "BTC-180d-60000-P-{}", "BTC-30d-90000-C-{}")
PERPETUALS = ("BTC-PERP-USDC", "ETH-PERP-USDC")
#: stock, calls and puts of 60 days at a vol of 30 %
LISTED: tuple[listed_books.Leg, ...] = (
    ("S", 0.0, 100.0, 0.0),
    *(
        (kind, strike, 1.0, float(black76(100.0, strike, 60.0 / 365.0, 0.3, is_call=kind == "C")))
        for kind, strike in (
            ("C", 90.0), ("C", 95.0), ("C", 100.0), ("C", 105.0), ("C", 110.0),
            ("P", 90.0), ("P", 95.0), ("P", 100.0),
        )
    ),
)  # fmt: skip

#: names of the lines of each rule, and what a quantity of 1 stands for
LINES: dict[str, tuple[tuple[str, ...], tuple[float, ...]]] = {
    "es-fhs": (DERIBIT, (600.0, 600.0, 1.0, 1.0, 1.0)),
    "var-hs": (DERIBIT, (600.0, 600.0, 1.0, 1.0, 1.0)),
    "deribit-pm": (DERIBIT, (30_000.0, 30_000.0, 50.0, 50.0, 50.0)),
    "deribit-standard": (DERIBIT, (30_000.0, 30_000.0, 1.0, 1.0, 1.0)),
    "derive-pmrm-v1": (DERIVE, (1.0,) * 5),
    "derive-pmrm-v2": (DERIVE, (1.0,) * 5),
    "derive-srm": (DERIVE, (1.0,) * 5),
    "okx-pm": (STABLE, (500.0, 10.0, 10.0, 10.0, 500.0)),
    "okx-standard": (tuple(n.format("USD") for n in OPTIONS), (1.0,) * 4),
    "okx-standard-usd": (tuple(n.format("USDT") for n in OPTIONS), (1.0,) * 4),
    "paradex-pm": (tuple(n.format("USDC") for n in OPTIONS) + PERPETUALS, (1.0,) * 5 + (10.0,)),
    "hyperliquid-pm": (PERPETUALS, (500.0, 5_000.0)),
    "leverage-brackets": (PERPETUALS, (2.0, 30.0)),
    "tims": (tuple(f"{kind}{strike:g}" for kind, strike, *_ in LISTED), (1.0,) * 9),
    "reg-t": (tuple(f"{kind}{strike:g}" for kind, strike, *_ in LISTED), (1.0,) * 9),
    "span": (tuple(i.name for i in test_span.CONTRACTS), (1.0,) * 6),
    "simm": (tuple(f"{kind}{strike:g}" for kind, strike, *_ in LISTED), (1e5,) * 9),
}
OPTIONS_OF_RULES: dict[str, dict[str, Any]] = {
    "es-fhs": {"n_paths": 1_000, "vol_anchor": 0.6, "dynamics": "sticky_strike"},
    "var-hs": {"replications": 1, "dynamics": "sticky_strike"},
    "simm": {"buckets": {"SPX": 5}, "as_of": "2024-01-02"},
    "okx-standard-usd": {"as_of": "2026-05-01"},
    **{key: {"feeds": derive.FULL} for key in ("derive-pmrm-v1", "derive-pmrm-v2", "derive-srm")},
}


class Panel(NamedTuple):
    """A rule over its lines: the result of quantities of them, and the quantities of one more."""

    name: str
    result: Callable[[Sequence[float]], MarginResult]

    @property
    def size(self) -> int:
        """Number of lines."""
        return len(LINES[self.name][0])

    def need(self, quantities: Sequence[float]) -> float:
        """Return what equity must cover, in the numeraire."""
        return self.result(quantities).im_equity

    def left(self, quantities: Sequence[float]) -> float:
        """Return what equity has left over, in the numeraire."""
        return self.result(quantities).excess


def panel(name: str, venue: Any, market: MarketSnapshot, make_account: Callable[..., Account]) -> Panel:
    """Return the panel of a rule in the markets of the tests."""
    names, size = LINES[name]
    made = rule(name, stale="warn", **OPTIONS_OF_RULES.get(name, {}))
    snapshot, build = _world(name, names, venue, market, make_account)
    more: dict[str, Any] = {}
    if isinstance(made, MeasureRule):
        everything = build(dict.fromkeys(names, 1.0))
        more["scenarios"] = made.scenarios(everything, snapshot)
        made.cube(everything, snapshot, more["scenarios"])

    def result(quantities: Sequence[float]) -> MarginResult:
        held = {n: q * s for n, q, s in zip(names, quantities, size, strict=True)}
        found = made.requirement(build(held), snapshot, **more)
        assert isinstance(found, MarginResult)
        return found

    return Panel(name, result)


def _world(
    name: str,
    names: tuple[str, ...],
    venue: Any,
    market: MarketSnapshot,
    make_account: Callable[..., Account],
) -> tuple[MarketSnapshot, Callable[[dict[str, float]], Account]]:
    """Return the market of a rule and a maker of accounts from quantities by name."""
    if names == DERIBIT:
        money = {"USDC": 1e6} if name in ("es-fhs", "var-hs") else {"BTC": 1e4}
        return market, lambda held: make_account(held, money)
    if names == DERIVE:
        return derive.market(names), lambda held: derive.account(held, {"USDC": 1e6})
    if name in ("tims", "reg-t", "simm"):
        return listed_books.market({"SPX": 100.0}, {"SPX": LISTED}), lambda held: listed_books.account(
            {
                "SPX": [
                    (*leg[:2], qty * leg[2], leg[3]) for leg, qty in zip(LISTED, held.values(), strict=True)
                ]
            },
            cash=1e9,
        )
    if name == "span":
        return test_span.MARKET, lambda held: Account(
            portfolio=Portfolio(
                positions=tuple(
                    Position(instrument=i, qty=q)
                    for i, q in zip(test_span.CONTRACTS, held.values(), strict=True)
                ),
                as_of=test_span.NOW,
            ),
            collateral={"USD": 1e9},
        )
    coin = "BTC" if name == "okx-standard" else "USDT" if name == "okx-pm" else "USDC"
    return venue.market(names), lambda held: venue.account(held, {coin: 1e6})
