"""``paradex-pm`` (clauses PDX): weighted scenarios by underlying, a minimum from deltas, provisions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pandas as pd

from pmkit.core.errors import DataGapError
from pmkit.core.types import FloatArray, IntArray
from pmkit.instruments.contracts import Instrument, Option
from pmkit.margin.accounts.account import Account
from pmkit.margin.accounts.contract_marks import option_discounts, unit_marks
from pmkit.margin.conformance.feeds import CollateralFeed, Feeds
from pmkit.margin.engine.base import origin
from pmkit.margin.engine.risk_matrix import percent, worst_row
from pmkit.margin.engine.usd_rule import UsdCharge, UsdRule
from pmkit.margin.parameters import ParameterSet
from pmkit.margin.result import Step, WorstScenario
from pmkit.margin.schemas import ParadexParameters
from pmkit.market.snapshot import MarketSnapshot
from pmkit.pricing import black76, combine, greeks
from pmkit.scenarios import TermScaling

__all__ = ["ParadexPm", "minimum_delta"]


def minimum_delta(deltas: FloatArray, spot: float, table: ParadexParameters) -> float:
    """Return the least requirement in USD from the deltas in coins of the lines of one underlying.

    Parameters
    ----------
    deltas : ndarray, shape (lines,)
        Signed coins.
    spot : float
        USD.
    table : ParadexParameters

    Notes
    -----
    ``(a |net| + b hedged) S`` with ``hedged = (gross - |net|)/2``.

    Examples
    --------
    >>> from pmkit.margin.parameters import load_parameter_sets
    >>> table = load_parameter_sets("paradex-pm")[0].table("BTC")
    >>> minimum_delta(np.array([1.0, -1.5]), 70_000.0, table)
    1400.0
    """
    net = abs(math.fsum(deltas))
    hedged = (math.fsum(np.abs(deltas)) - net) / 2.0
    return (table.net_delta_rate * net + table.hedged_delta_rate * hedged) * spot


@dataclass(frozen=True, kw_only=True)
class _Underlying:
    """Lines of one underlying with their P&L per contract by scenario, before the weights."""

    name: str
    at: IntArray
    spot: float
    cells: FloatArray
    weights: FloatArray
    vol: FloatArray
    labels: tuple[str, ...]
    deltas: FloatArray  # coins per contract
    notionals: FloatArray  # USD per contract
    funding: FloatArray  # USD that a long contract pays over the provision's hours
    table: ParadexParameters


@dataclass(frozen=True, kw_only=True)
class _ParadexBook:
    markets: tuple[_Underlying, ...]
    marks: FloatArray  # USD per contract, 0 for perpetuals
    parameters: ParameterSet

    def charge(self, quantities: FloatArray, amounts: FloatArray) -> UsdCharge:
        """Return the charge of signed contracts (clauses PDX-3 to PDX-8)."""
        rows: dict[str, dict[str, float]] = {}
        worst: list[tuple[str, float]] = []
        vectors = []
        for market in self.markets:
            held = quantities[market.at]
            pnl = combine(market.cells, held) * market.weights + 0.0  # no negative zeros
            at = worst_row(pnl, market.vol)
            prefix = f"{market.name} " if len(self.markets) > 1 else ""
            worst.append((prefix + market.labels[at], float(pnl[at])))
            vectors.append(pd.Series(pnl, index=[prefix + label for label in market.labels]))
            rows[market.name] = {
                "scan": max(-float(pnl[at]), 0.0) + 0.0,
                "minimum delta": minimum_delta(held * market.deltas, market.spot, market.table),
                "fee provision": market.table.fee_rate * math.fsum(np.abs(held) * market.notionals),
                "funding provision": max(math.fsum(held * market.funding), 0.0),
                "mm factor": market.table.mm_factor,
            }
        frame = pd.DataFrame.from_dict(
            rows,
            orient="index",
            columns=["scan", "minimum delta", "fee provision", "funding provision", "mm factor"],
        )
        core = frame[["scan", "minimum delta"]].max(axis=1).to_numpy(dtype=np.float64)
        addons = {name: math.fsum(frame[name]) for name in ("fee provision", "funding provision")}
        provisions = math.fsum(addons.values())
        vector = pd.concat(vectors) if vectors else pd.Series(dtype="float64")
        vector.index.name = "scenario"
        return UsdCharge(
            im=math.fsum(core) + provisions,
            mm=math.fsum(core * frame["mm factor"].to_numpy(dtype=np.float64)) + provisions,
            equity=math.fsum(quantities * self.marks),
            option_value=math.fsum(quantities * self.marks),
            addons={name: value for name, value in addons.items() if value != 0.0},
            worst=WorstScenario("; ".join(name for name, _ in worst), math.fsum(p for _, p in worst)),
            vector=vector.rename("pnl"),
            steps=self._steps(rows, worst),
            figures={"underlyings": frame},
        )

    def _steps(
        self, rows: Mapping[str, Mapping[str, float]], worst: list[tuple[str, float]]
    ) -> tuple[Step, ...]:
        shown = (
            ("PDX-5", "minimum delta", ("net_delta_rate", "hedged_delta_rate")),
            ("PDX-6", "fee provision", ("fee_rate",)),
            ("PDX-7", "funding provision", ("funding_hours",)),
            ("PDX-8", "mm factor", ("mm_factor",)),
        )
        steps = []
        for (coin, row), (label, pnl) in zip(rows.items(), worst, strict=True):
            keys = ("scenarios", "volatility_range_up", "volatility_range_down", "vega_floor_days")
            status = origin(self.parameters, *keys)
            steps.append(Step("PDX-4", f"{coin} worst scenario: {label}", pnl, "USD", status))
            steps += [
                Step(clause, f"{coin} {name}", row[name], "1" if name == "mm factor" else "USD",
                     origin(self.parameters, *keys))
                for clause, name, keys in shown
            ]  # fmt: skip
        return tuple(steps)


@dataclass(frozen=True, kw_only=True)
class ParadexPm(UsdRule):
    """Paradex's portfolio margin: options and perpetuals in USD, netted within each underlying.

    Notes
    -----
    ``IM = max(SCAN, minimum delta) + provisions`` and ``MM = 0.5 max(SCAN, minimum delta) + provisions``,
    summed over underlyings. Variant ``funding`` is the newer text with a provision for funding, which needs
    a funding rate in the snapshot; variant ``fee`` is the text before it.

    Examples
    --------
    >>> ParadexPm(variant="fee").name
    'paradex-pm'
    """

    name: ClassVar[str] = "paradex-pm"
    citations: ClassVar[tuple[str, ...]] = ("paradexpm",)
    many_underlyings: ClassVar[bool] = True
    money_clauses: ClassVar[tuple[str, str]] = ("PDX-8", "PDX-3")

    variant: str = "funding"
    feeds: Feeds | None = field(default_factory=Feeds, repr=False)

    def eligible(self, underlying: str, parameters: ParameterSet) -> tuple[str, ...]:
        """Return nothing: USDC alone is collateral, and it is cash."""
        return ()

    def book(
        self, account: Account, balances: Mapping[str, CollateralFeed], snapshot: MarketSnapshot,
        parameters: ParameterSet, underlyings: tuple[str, ...],
    ) -> _ParadexBook:  # fmt: skip
        """Return the account revalued over the scenarios of every underlying.

        Raises
        ------
        DataGapError
            A perpetual is held, its underlying has no funding rate, and the variant has a provision for it.
        """
        held = account.portfolio.instruments
        option = np.array([isinstance(i, Option) for i in held], dtype=bool)
        size = np.array([i.multiplier for i in held], dtype=np.float64)
        return _ParadexBook(
            markets=tuple(
                _underlying(name, held, snapshot, parameters.table(name), self.name)
                for name in account.portfolio.underlyings
            ),
            marks=np.where(option, size * unit_marks(held, snapshot), 0.0),
            parameters=parameters,
        )


def _underlying(
    name: str,
    instruments: tuple[Instrument, ...],
    snapshot: MarketSnapshot,
    table: ParadexParameters,
    rule: str,
) -> _Underlying:
    at = [line for line, i in enumerate(instruments) if i.underlying == name]
    held = [instruments[line] for line in at]
    spot, perpetual = snapshot.spot(name), snapshot.market(name).perpetual
    size = np.array([i.multiplier for i in held], dtype=np.float64)
    move = np.array([row[0] for row in table.scenarios], dtype=np.float64)
    cells = np.outer(size * perpetual, move)
    deltas, notionals = size.copy(), size * spot
    options = [(line, o) for line, o in enumerate(held) if isinstance(o, Option)]
    if options:
        lines = [line for line, _ in options]
        cells[lines], unit_delta = _option_cells([o for _, o in options], snapshot, table, move)
        cells[lines] *= size[lines, None]
        deltas[lines] *= unit_delta
    funding = np.zeros(len(held))
    perpetuals = [line for line, i in enumerate(held) if not isinstance(i, Option)]
    if perpetuals and table.funding_hours > 0.0:
        rate = snapshot.market(name).funding
        if rate is None:
            raise DataGapError(
                f"no funding rate for {name}",
                f"the rate of eight hours: {rule} provides for the funding of {table.funding_hours:g} hours",
                "load a snapshot that holds it, or use the variant without the provision",
            )
        funding[perpetuals] = size[perpetuals] * perpetual * rate * table.funding_hours / 8.0
    return _Underlying(
        name=name,
        at=np.array(at, dtype=np.int64),
        spot=spot,
        cells=cells,
        weights=np.array([row[2] for row in table.scenarios], dtype=np.float64),
        vol=np.array([1.0 if row[1] == "up" else -1.0 for row in table.scenarios]),
        labels=tuple(f"{percent(m)}, vol {word}" for m, word, _ in table.scenarios),
        deltas=deltas,
        notionals=notionals,
        funding=funding,
        table=table,
    )


def _option_cells(
    options: list[Option], snapshot: MarketSnapshot, table: ParadexParameters, move: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the P&L of one unit of each option by scenario, USD, and its delta."""
    term = TermScaling(
        reference_days=table.vega_reference_days,
        short_power=table.short_term_vega_power,
        long_power=table.long_term_vega_power,
        floor_days=table.vega_floor_days,
    )
    forward = np.array([snapshot.forward(o.underlying, o.expiry) for o in options])[:, None]
    strike = np.array([o.strike for o in options])[:, None]
    tau = np.array([snapshot.tau(o.expiry) for o in options])[:, None]
    iv = np.array([snapshot.iv(o) for o in options])[:, None]
    is_call = np.array([o.is_call for o in options])[:, None]
    scale = np.array([term.scale(snapshot.days(o.expiry)) for o in options])[:, None]
    shock = np.array(
        [
            table.volatility_range_up if word == "up" else -table.volatility_range_down
            for _, word, _ in table.scenarios
        ]
    )
    shocked = iv * np.maximum(1.0 + scale * shock[None, :], 0.0)
    df = option_discounts(options, snapshot)[:, None]
    now = black76(forward, strike, tau, iv, df=df, is_call=is_call)
    then = black76(forward * (1.0 + move[None, :]), strike, tau, shocked, df=df, is_call=is_call)
    found = greeks(forward[:, 0], strike[:, 0], tau[:, 0], iv[:, 0], df=df[:, 0], is_call=is_call[:, 0])
    return np.ascontiguousarray(then - now), np.asarray(found.delta, dtype=np.float64)
