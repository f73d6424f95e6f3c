"""Full revaluation: the profit of one contract of each instrument in every scenario."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from pmkit.core.errors import ConventionError, DataGapError, ParameterError
from pmkit.core.provenance import Provenance
from pmkit.core.types import FloatArray
from pmkit.instruments import Future, Instrument, Option, Perpetual, Portfolio, Spot
from pmkit.market.snapshot import MarketSnapshot
from pmkit.pricing import forward_logs, option_values
from pmkit.risk.cube import PnLCube
from pmkit.risk.moved import MovedMarket
from pmkit.scenarios.scenario_set import ScenarioSet

__all__ = ["LiveValues", "build_cube", "distinct", "exact_values", "revalue", "values_at"]

#: value of one unit of a living option at the horizon in each scenario, settlement currency, discounted;
#: takes the market after the scenarios and the value before them
LiveValues: TypeAlias = Callable[[Option, MovedMarket, float], FloatArray]


def revalue(
    book: Portfolio | Sequence[Instrument],
    snapshot: MarketSnapshot,
    scenarios: ScenarioSet,
    *,
    threads: int = 1,
) -> PnLCube:
    """Return the profit of one contract of each instrument in every scenario, USD and coin, gain positive.

    Parameters
    ----------
    book : Portfolio or sequence of Instrument
        What to value; quantities do not matter. Instruments held twice are valued once.
    snapshot : MarketSnapshot
        Market before the scenarios.
    scenarios : ScenarioSet
        Moves of any kind of factor with their conventions.
    threads : int
        Threads that share the instruments, 1 or more; the result has equal bits for any number.

    Returns
    -------
    PnLCube

    Raises
    ------
    DataGapError
        An instrument has no forward, vol or scenario factor, the smile must move without a surface, or a
        factor moves a rate or a funding rate that the snapshot does not have.
    ConventionError
        A contract settles inside the horizon and the scenarios have no fixing for it, or an argument is of
        another kind.
    SchemaError
        An instrument is unknown to the snapshot or expired.
    ParameterError
        ``threads`` below 1, or a move that leaves a price or a vol that is not positive and finite.

    Notes
    -----
    With S the index, F the forward of an expiry tau years away, and h the horizon in years:

    * ``S' = S (1 + x)`` or ``S exp(x)`` by the unit of the spot move;
    * ``ln F' = ln S' + ln(F/S) (tau - h)/tau + basis move``: the carry runs off with time;
    * a perpetual keeps its premium over the index: ``P' = P S'/S``, times its own basis factor where there is
      one;
    * a long perpetual pays ``(f + x) h`` of its notional at the price before, with f the snapshot's last
      funding rate as a simple annual decimal: ``N (f + x) h / P`` coins or ``q P (f + x) h`` in quote
      currency; nothing where the snapshot has no rate;
    * implied vol is the contract's own times the smile's move (see ``ScenarioSet.dynamics``) times the level,
      ``exp(x s)`` or ``max(0, 1 + x s)`` with ``s`` from ``ScenarioSet.vol_term``, times the term factor
      ``(days/reference)^x``, and then less skew and plus curvature as in :class:`pmkit.surface.SurfaceShock`;
    * options in quote currency carry ``exp(-(r + x)(tau - h))`` where the snapshot has a discount factor;
      forwards do not move with the rate;
    * a currency's fx turns what is settled in it into USD; prices in quote currency do not move with it;
    * contracts that expire at or before the horizon settle at their fixing, and the payoff is kept in
      settlement currency to the horizon.

    Inverse options are worth ``B76(F', K, tau - h, iv')/F'`` coins, inverse futures gain ``N (1/F - 1/F')``
    coins, and coins are worth S' at the horizon. Factors of names that the snapshot does not hold move
    nothing; ``cube.unheld_factors`` lists them. By default each option keeps its own vol ("by strike") and
    the surface only moves it; ``snapshot.on_surface()`` values every option on the surface itself.

    References
    ----------
    Black (1976), equation (16).

    Examples
    --------
    >>> from pmkit.scenarios import grid
    >>> snap = MarketSnapshot.from_marks("2026-08-01T00:00:00Z", {"BTC": 50_000.0})
    >>> line = {"type": "position", "instrument": "BTC-PERPETUAL", "qty": -100, "as_of": "2026-08-01"}
    >>> book = Portfolio.from_records([line])
    >>> cube = revalue(book, snap, grid([-0.1, 0.1], dynamics="sticky_strike"))
    >>> cube.account_pnl(book).round(6).tolist()
    [100.0, -100.0]
    """
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise ParameterError(f"threads is {threads!r}", "a whole number, 1 or more", "correct it")
    instruments = distinct(book)
    moved = MovedMarket(snapshot, scenarios, instruments)
    return build_cube(instruments, moved, exact_values, method="risk.revalue", threads=threads)


def exact_values(option: Option, moved: MovedMarket, before: float) -> FloatArray:
    """Return the value of one unit of a living option in each scenario, settlement currency.

    Parameters
    ----------
    option : Option
        One that outlives the horizon.
    moved : MovedMarket
        Prepared for it.
    before : float
        Its value before the scenarios; the exact value does not need it.
    """
    return values_at(option, moved, moved.vol(option))


def values_at(option: Option, moved: MovedMarket, iv: FloatArray) -> FloatArray:
    """Return the value of one unit of a living option at given vols, settlement currency, discounted.

    Parameters
    ----------
    option : Option
        One that outlives the horizon.
    moved : MovedMarket
        Prepared for it; forwards, time and discount factors are its.
    iv : ndarray, shape (scenarios,)
        Annualised decimals.
    """
    forwards = moved.forwards[option.underlying, option.expiry]
    values = option_values(
        forwards,
        iv,
        option.strike,
        moved.tau(option.expiry),
        option.is_call,
        option.is_inverse,
        log_forward=moved.vols.logs[option.underlying, option.expiry],
    )
    df = moved.discount(option)[1]
    if not (isinstance(df, float) and df == 1.0):
        values *= df
    return values


def build_cube(
    instruments: tuple[Instrument, ...],
    moved: MovedMarket,
    live_values: LiveValues,
    *,
    method: str,
    threads: int = 1,
    parameters: Mapping[str, Any] | None = None,
) -> PnLCube:
    """Return the cube of distinct instruments with a given way to value options that outlive the horizon.

    Parameters
    ----------
    instruments : tuple of Instrument
    moved : MovedMarket
        Market after the scenarios, prepared for them.
    live_values : callable
        Value of one unit of a living option in each scenario, settlement currency; everything else is exact.
    method : str
        Name for the provenance.
    threads : int
        Threads that share the instruments.
    parameters : mapping, optional
        Further parameters for the provenance.
    """
    snapshot, scenarios, money = moved.snapshot, moved.scenarios, moved.money
    shape = (len(instruments), len(scenarios))
    unit_usd, unit_coin = np.empty(shape), np.zeros(shape)

    def fill(row: int) -> _Value:
        return _value(instruments[row], moved, live_values, unit_usd[row], unit_coin[row])

    if threads == 1 or len(instruments) < 2:
        bases = [fill(row) for row in range(len(instruments))]
    else:
        with ThreadPoolExecutor(max_workers=threads) as pool:
            bases = list(pool.map(fill, range(len(instruments))))
    return PnLCube(
        instruments=instruments,
        unit_usd=unit_usd,
        unit_coin=unit_coin,
        base_usd=np.array([b.usd for b in bases], dtype=np.float64),
        base_coin=np.array([b.coin for b in bases], dtype=np.float64),
        spot0=money.spot0,
        spot1=money.spot1,
        moved=money.moved,
        scenarios=scenarios,
        settled=tuple(i.name for i in instruments if moved.settles(i)),
        fx0=money.fx0,
        fx1=money.fx1,
        unheld_factors=moved.unheld_factors,
        snapshot=snapshot,
        provenance=Provenance(
            method=method,
            data={"snapshot": snapshot.fingerprint, "scenarios": scenarios.fingerprint},
            parameters={"instruments": [i.name for i in instruments], **(parameters or {})},
            seed=scenarios.provenance.seed,
            simulated=scenarios.provenance.simulated,
        ),
    )


@dataclass(frozen=True, slots=True)
class _Value:
    """Present value of one contract in USD and, if coin-settled, in coins; 0 for futures and perpetuals."""

    usd: float
    coin: float


def distinct(book: Portfolio | Sequence[Instrument]) -> tuple[Instrument, ...]:
    """Return the instruments once each, in order."""
    if not isinstance(book, (Portfolio, Iterable)) or isinstance(book, str):
        raise ConventionError(
            f"the book is a {type(book).__name__}",
            "a Portfolio or instruments",
            "Portfolio.from_csv, or [position.instrument for position in positions]",
        )
    listed = book.instruments if isinstance(book, Portfolio) else tuple(book)
    seen: dict[str, Instrument] = {}
    for instrument in listed:
        if not isinstance(instrument, Instrument):
            raise ConventionError(
                f"the book holds a {type(instrument).__name__}",
                "a Portfolio or instruments",
                "pass a Portfolio, or [position.instrument for position in positions]",
            )
        if seen.setdefault(instrument.name, instrument) != instrument:
            raise ConventionError(
                f"two different contracts are called {instrument.name}",
                "one contract per name",
                "rename one of them",
            )
    if not seen:
        raise DataGapError("the book is empty", "at least one instrument", "add a position")
    return tuple(seen.values())


def _value(
    instrument: Instrument, moved: MovedMarket, live_values: LiveValues, usd: FloatArray, coin: FloatArray
) -> _Value:
    """Fill the unit profit of one instrument and return its present value."""
    if isinstance(instrument, Option):
        return _option(instrument, moved, live_values, usd, coin)
    name, size = instrument.underlying, instrument.multiplier
    spot, spot_after = moved.snapshot.spot(name), moved.spot[name]
    if isinstance(instrument, Spot):
        np.multiply(size, spot_after - spot, out=usd)
        return _Value(size * spot, 0.0)
    before = moved.snapshot.mark(instrument).price
    paid: FloatArray | float | None = None
    if isinstance(instrument, Perpetual):
        after, paid = moved.perpetual(name), moved.funding(name)
    else:
        assert isinstance(instrument, Future)
        key = (name, instrument.expiry)
        after = moved.fixings[key] if moved.settles(instrument) else moved.forwards[key]
    if instrument.is_inverse:
        np.multiply(size / before, (after - before) / after, out=coin)
        if paid is not None:
            coin -= size / before * paid
        np.multiply(coin, spot_after, out=usd)
        return _Value(0.0, 0.0)
    np.multiply(size, after - before, out=usd)
    if paid is not None:
        usd -= size * before * paid
    worth = _worth_of(instrument, moved)
    if worth is not None:
        usd *= worth[1]
    return _Value(0.0, 0.0)


def _option(
    option: Option, moved: MovedMarket, live_values: LiveValues, usd: FloatArray, coin: FloatArray
) -> _Value:
    """Fill the unit profit of an option; both values come from one kernel, so no move gives no profit."""
    snapshot, key = moved.snapshot, (option.underlying, option.expiry)
    spot, size = snapshot.spot(option.underlying), option.multiplier
    forward = np.array([snapshot.forward(*key)])
    base = option_values(
        forward,
        np.array([snapshot.iv(option)]),
        option.strike,
        snapshot.tau(option.expiry),
        option.is_call,
        option.is_inverse,
        log_forward=forward_logs(forward),
    )
    unit = float(base[0]) * moved.discount(option)[0]
    if moved.settles(option):
        fixing = moved.fixings[key]
        sign = 1.0 if option.is_call else -1.0
        after = np.maximum(sign * (fixing - option.strike), 0.0)
        if option.is_inverse:
            after /= fixing
    else:
        after = live_values(option, moved, unit)
    before = size * unit
    after *= size
    if option.is_inverse:
        np.subtract(after, before, out=coin)
        np.subtract(after * moved.spot[option.underlying], before * spot, out=usd)
        return _Value(before * spot, before)
    worth = _worth_of(option, moved)
    if worth is None:
        np.subtract(after, before, out=usd)
        return _Value(before, 0.0)
    np.subtract(after * worth[1], before * worth[0], out=usd)
    return _Value(before * worth[0], 0.0)


def _worth_of(instrument: Instrument, moved: MovedMarket) -> tuple[float, FloatArray | float] | None:
    """Return USD per unit of settlement currency before and after, None where it is one USD throughout."""
    currency, money = instrument.settlement_currency, moved.money
    if currency not in money.fx0 or money.is_dollar(currency):
        return None
    before, after = money.before(currency), money.after(currency)
    return before, (before if after is None else after)
