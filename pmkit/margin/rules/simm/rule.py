"""``simm``: the standard model on an account of equity contracts, sensitivities by own revaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from pmkit.core.errors import DataGapError, ParameterError, RuleVersionError
from pmkit.core.provenance import fingerprint
from pmkit.core.types import FloatArray
from pmkit.instruments.contracts import Future, Instrument, Option, Spot
from pmkit.margin.accounts.contract_marks import option_discounts
from pmkit.margin.engine.base import origin
from pmkit.margin.engine.coin_rule import Charge
from pmkit.margin.engine.listed_rule import ListedMarket, ListedRule
from pmkit.margin.parameters import ParameterSet
from pmkit.margin.result import Basis, Step
from pmkit.margin.rules.simm.aggregate import RESIDUAL, Sensitivity, simm_margin
from pmkit.margin.schemas import SimmParameters
from pmkit.market.history import PriceHistory
from pmkit.pricing import black76

__all__ = ["Simm"]


@dataclass(frozen=True, kw_only=True)
class _SimmBook:
    instruments: tuple[Instrument, ...]
    buckets: Mapping[str, int]
    #: USD per +1 % of the price and per vol point of one contract, and days to expiry, shape (instruments,)
    delta: FloatArray
    vega: FloatArray
    days: FloatArray
    parameters: ParameterSet

    def charge(self, quantities: FloatArray) -> Charge:
        held = []
        for name, bucket in self.buckets.items():
            rows = [row for row, i in enumerate(self.instruments) if i.underlying == name]
            vegas = tuple((float(self.days[r]), float(quantities[r] * self.vega[r])) for r in rows)
            delta = float(np.add.reduce(quantities[rows] * self.delta[rows]))
            held.append(Sensitivity(name, bucket, delta, tuple(v for v in vegas if v[1] != 0.0)))
        table: SimmParameters = self.parameters.table("*")
        found = simm_margin(table, held)
        known = origin(self.parameters, "risk_weights", "bucket_correlations")
        steps = [
            Step("SIM-2", f"{s.qualifier}: delta in bucket {s.bucket}", s.delta, "USD per 1 %", "data")
            for s in held
        ]
        steps += [
            Step("SIM-4", "delta margin", found.delta, "USD", known),
            Step("SIM-5", "vega margin", found.vega, "USD", known),
            Step("SIM-6", "curvature margin", found.curvature, "USD", known),
            Step("SIM-7", "margin of the product class", found.total, "USD", known),
        ]
        return Charge(im=found.total, mm=found.total, steps=tuple(steps), figures={"margin": found})


@dataclass(frozen=True, kw_only=True)
class Simm(ListedRule):
    """Standard initial margin model, version 2.6, ten days, for stocks, futures and options on equity, USD.

    Attributes
    ----------
    buckets : mapping of str to int
        Bucket of each underlying, 1 to 12, or 13 for the residual one: size, region and sector; 11 for
        indices and funds, 12 for volatility indices.

    Notes
    -----
    Basis ``pnl``; MM equals IM, as the model has one margin. The commodity class is refused: weights and
    thresholds of its 17 buckets are known, most correlations between them are not. Clauses SIM-1 to SIM-8.

    References
    ----------
    International Swaps and Derivatives Association (2023).
    """

    name: ClassVar[str] = "simm"
    basis: ClassVar[Basis] = "pnl"
    citations: ClassVar[tuple[str, ...]] = ("isda2023simm",)
    accepts: ClassVar[tuple[str, tuple[type[Instrument], ...]]] = (
        "stocks, futures and options",
        (Spot, Future, Option),
    )
    money_clause: ClassVar[str] = "SIM-8"

    variant: str = "equity-10d"
    buckets: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.variant == "commodity-10d":
            raise RuleVersionError(
                "variant 'commodity-10d' of simm: most correlations between commodity buckets are not known",
                "'equity-10d'",
                "margin equity alone; coins have no bucket in the model either",
            )
        ListedRule.__post_init__(self)

    def book(self, seen: ListedMarket) -> _SimmBook:
        """Return the sensitivities of one contract of each instrument."""
        held = seen.portfolio.instruments
        for name in seen.portfolio.underlyings:
            if name not in self.buckets:
                raise DataGapError(
                    f"no bucket for {name}",
                    "a number from 1 to 12, or 13 for the residual bucket",
                    f"pass buckets={{{name!r}: 11}} for an index, or that of its sector and region",
                )
            if self.buckets[name] not in range(1, RESIDUAL + 1):
                raise ParameterError(
                    f"bucket of {name} is {self.buckets[name]!r}", "a number from 1 to 13", "correct it"
                )
        marks = np.array([seen.marks[i.name] for i in held])
        size = np.array([i.multiplier for i in held])
        delta, vega, days = 0.01 * marks, np.zeros(len(held)), np.zeros(len(held))
        rows = [row for row, i in enumerate(held) if isinstance(i, Option)]
        options = [i for i in held if isinstance(i, Option)]
        if options:
            forward = np.array([seen.snapshot.forward(o.underlying, o.expiry) for o in options])
            strike, is_call = np.array([o.strike for o in options]), np.array([o.is_call for o in options])
            tau, iv = (
                np.array([what(o) for o in options])
                for what in (lambda o: seen.snapshot.tau(o.expiry), seen.snapshot.iv)
            )
            df = option_discounts(options, seen.snapshot)
            delta[rows] = black76(1.01 * forward, strike, tau, iv, df, is_call) - marks[rows]
            vega[rows] = black76(forward, strike, tau, iv + 0.01, df, is_call) - marks[rows]
            days[rows] = 365.0 * tau
        return _SimmBook(
            instruments=held,
            buckets={name: self.buckets[name] for name in seen.portfolio.underlyings},
            delta=delta * size,
            vega=vega * size,
            days=days,
            parameters=seen.parameters,
        )

    def given(self, history: PriceHistory | None) -> dict[str, str]:
        """Return the fingerprint of the buckets."""
        return {"buckets": fingerprint(dict(self.buckets))}
