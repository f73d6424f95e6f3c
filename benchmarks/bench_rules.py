"""W3, margin rules: milliseconds for an account of 500 lines under each risk-matrix rule, and many accounts.

Run it with ``python benchmarks/bench_rules.py [accounts]``. Positions are drawn at random; the Deribit books
hold contracts of the sample chain at its marks, the others hold simulated contracts.
"""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pandas as pd
from timing import interleaved, record

import pmkit as pm
from pmkit.core.errors import PmkitWarning
from pmkit.core.random import stream
from pmkit.instruments import Future, Instrument, Option, Perpetual, Portfolio, Position, parse_instrument
from pmkit.margin import Account, Feeds
from pmkit.market.snapshot import MarketSnapshot

LINES = 500
#: milliseconds that an account of so many lines may take
LIMIT = 20.0
#: rules that price the contracts of many accounts once
MANY = ("deribit-pm", "derive-pmrm-v1", "derive-pmrm-v2")
NOW = pd.Timestamp("2026-02-01T08:00Z")


def book(instruments: list[Instrument], as_of: pd.Timestamp, cash: dict[str, float], name: str) -> Account:
    """Return an account of ``LINES`` lines, contracts and sizes drawn at random."""
    rng = stream(5, "bench-rules", name)
    chosen = rng.permutation(len(instruments))[:LINES]
    size = rng.choice([-1.0, 1.0], LINES) * rng.integers(1, 50, LINES)
    held = tuple(
        Position(instrument=instruments[i], qty=float(q) * instruments[i].lot)
        for i, q in zip(chosen, size, strict=True)
    )
    return Account(portfolio=Portfolio(positions=held, as_of=as_of), collateral=cash, name=name)


def options(
    underlying: str, spot: float, days: tuple[int, ...], strikes: np.ndarray, currency: str, multiplier: float
) -> list[Option]:
    """Return calls and puts of every expiry and strike."""
    return [
        Option(
            name=f"{underlying}-{d}D-{k:g}-{'C' if call else 'P'}", underlying=underlying,
            settlement="linear", settlement_currency=currency, multiplier=multiplier, lot=0.01,
            expiry=NOW + pd.Timedelta(days=d), strike=float(k), is_call=call,
        )
        for d in days
        for k in strikes
        for call in (True, False)
    ]  # fmt: skip


def market(underlying: str, spot: float, held: list[Instrument]) -> MarketSnapshot:
    """Return a simulated market with a smile, an own vol for every option."""
    expiries = {i.expiry for i in held if isinstance(i, (Option, Future))}
    tau = {e: (e - NOW).days / 365.0 for e in expiries}
    vols = {o.name: 0.4 + 0.2 * abs(np.log(o.strike / spot)) for o in held if isinstance(o, Option)}
    return MarketSnapshot.from_marks(
        NOW, {underlying: spot}, option_iv=vols, funding={underlying: 0.0001},
        forwards={underlying: {e.isoformat(): spot * (1.0 + 0.05 * tau[e]) for e in sorted(expiries)}},
    )  # fmt: skip


def deribit() -> tuple[Account, MarketSnapshot]:
    """Return a book of the sample chain."""
    seen = pm.market.load_snapshot("deribit-btc-2026-08-01")
    held = [parse_instrument(name, seen.as_of) for name in sorted(seen.listed)]
    return book(held, seen.as_of, {"BTC": 100.0}, "deribit"), seen


def crypto(currency: str) -> tuple[Account, MarketSnapshot]:
    """Return a book of linear options and the perpetual."""
    strikes = np.linspace(30_000.0, 150_000.0, 61)
    held: list[Instrument] = [*options("BTC", 80_000.0, (7, 14, 28, 56, 91), strikes, currency, 1.0)]
    held.append(
        Perpetual(name="BTC-PERP", underlying="BTC", settlement="linear", settlement_currency=currency,
                  multiplier=1.0, lot=0.01)
    )  # fmt: skip
    return book(held, NOW, {"USDC": 1e7}, f"linear {currency}"), market("BTC", 80_000.0, held)


def listed(underlying: str, spot: float, multiplier: float, futures: bool) -> tuple[Account, MarketSnapshot]:
    """Return a book of index options, or of options on futures with the futures."""
    days = (18, 46, 81, 109, 137)
    strikes = spot * np.linspace(0.6, 1.4, 61)
    held: list[Instrument] = [*options(underlying, spot, days, np.round(strikes), "USD", multiplier)]
    if futures:
        held += [
            Future(name=f"{underlying}-{d}D", underlying=underlying, settlement="linear",
                   settlement_currency="USD", multiplier=multiplier, lot=1.0,
                   expiry=NOW + pd.Timedelta(days=d))
            for d in days
        ]  # fmt: skip
    return book(held, NOW, {"USD": 1e7}, underlying), market(underlying, spot, held)


def cases() -> dict[tuple[str, str], tuple[Account, MarketSnapshot, dict[str, object]]]:
    """Return account, market and options of each rule and variant."""
    feeds = Feeds(default_confidence=1.0, default_rate=0.04)
    coin, usdc, usdt = deribit(), crypto("USDC"), crypto("USDT")
    return {
        ("deribit-pm", "spm"): (*coin, {}),
        ("deribit-pm", "classic"): (*coin, {}),
        ("derive-pmrm-v1", "mainnet"): (*usdc, {"feeds": feeds}),
        ("derive-pmrm-v2", "mainnet"): (*usdc, {"feeds": feeds}),
        ("paradex-pm", "funding"): (*usdc, {}),
        ("okx-pm", "unified"): (*usdt, {}),
        ("tims", "customer"): (*listed("SPX", 6_000.0, 100.0, False), {}),
        ("span", "cme"): (*listed("ES", 6_000.0, 50.0, True), {}),
    }


def small_accounts(account: Account, count: int) -> list[Account]:
    """Return accounts of some 20 lines each, drawn from the contracts of a large one."""
    rng = stream(6, "bench-rules", account.name)
    held, found = account.instruments, []
    for number in range(count):
        chosen = rng.permutation(len(held))[: min(int(rng.geometric(1 / 20)), LINES)]
        size = rng.choice([-1.0, 1.0], chosen.size) * rng.integers(1, 50, chosen.size)
        lines = tuple(
            Position(instrument=held[i], qty=float(q) * held[i].lot)
            for i, q in zip(chosen, size, strict=True)
        )
        book = Portfolio(positions=lines, as_of=account.as_of)
        found.append(Account(portfolio=book, collateral=account.collateral, name=f"account {number}"))
    return found


def main() -> None:
    warnings.simplefilter("ignore", PmkitWarning)
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    for (name, variant), (account, seen, options_of) in cases().items():
        used = pm.margin.rule(name, variant=variant, stale="warn", **options_of)
        took = interleaved({"one": lambda r=used, a=account, s=seen: r.requirement(a, s)}, 15)
        what = f"{name} {variant}, account of {LINES} lines"
        record("W3", what, 1e3 * took["one"], "the limit", LIMIT, "ms", 1.0)
        if name not in MANY:
            continue
        accounts = small_accounts(account, count)
        some = accounts[:: max(count // 100, 1)]

        def many(r=used, a=accounts, s=seen) -> pd.DataFrame:
            return pm.margin.margin_many(a, s, r).values

        def one_by_one(r=used, a=some, s=seen) -> list[float]:
            return [r.requirement(one, s).im for one in a]

        took = interleaved({"many": many, "loop": one_by_one}, {"many": 3, "loop": 3})
        record(
            "W3", f"{name} {variant}, {count:,} accounts", 1e6 * took["many"] / count, "one by one",
            1e6 * took["loop"] / len(some), "us/account", 15.0,
        )  # fmt: skip
        equal = many()["im"].loc[[one.name for one in some]].tolist() == one_by_one()
        print(f"equal to the last bit with {len(some)} of them one by one: {equal}", flush=True)


if __name__ == "__main__":
    main()
