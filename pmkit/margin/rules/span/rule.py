"""``span``: standard portfolio analysis of risk, scenario arrays with explicit spread charges and credits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pandas as pd

from pmkit.core.errors import SchemaError
from pmkit.core.provenance import fingerprint
from pmkit.core.types import FloatArray
from pmkit.instruments.contracts import Future, Instrument, Option
from pmkit.instruments.portfolio import Portfolio
from pmkit.margin.engine.base import origin
from pmkit.margin.engine.coin_rule import Charge
from pmkit.margin.engine.listed_rule import ListedMarket, ListedRule, marks_of
from pmkit.margin.parameters import ParameterSet
from pmkit.margin.result import Basis, Step, WorstScenario
from pmkit.margin.rules.span.arrays import RiskArray, RiskArrays
from pmkit.margin.rules.span.commodity import Commodity, Line, measure
from pmkit.margin.rules.span.pricing import daily_vol, risk_arrays_of
from pmkit.margin.rules.span.scenarios import LABELS
from pmkit.margin.rules.span.spreads import delivery_charge, intercommodity_credits
from pmkit.margin.schemas import SpanParameters
from pmkit.market.history import PriceHistory
from pmkit.market.snapshot import MarketSnapshot

__all__ = ["Span"]

_SCAN = ("extreme_multiplier", "covered_fraction", "price_scan_rate", "price_scan_points", "vol_scan")


@dataclass(frozen=True, kw_only=True)
class _SpanBook:
    instruments: tuple[Instrument, ...]
    values: tuple[float, ...]
    lines: Mapping[str, tuple[Line, ...]]
    rows: Mapping[str, tuple[int, ...]]
    parameters: ParameterSet
    currency: str

    def charge(self, quantities: FloatArray) -> Charge:
        tables: dict[str, SpanParameters] = {name: self.parameters.table(name) for name in self.lines}
        held = {
            name: measure(tables[name], lines, quantities[list(self.rows[name])])
            for name, lines in self.lines.items()
        }
        credits, _ = intercommodity_credits({n: c.risk for n, c in held.items()}, tables)
        parts: dict[str, dict[str, float]] = {}
        steps: list[Step] = []
        for name, found in held.items():
            delivery = delivery_charge(tables[name], found.months)
            before = found.scan + found.intermonth + delivery - credits[name]
            parts[name] = {
                "scan": found.scan,
                "active": float(found.active + 1),
                "intermonth": found.intermonth,
                "delivery": delivery,
                "intercommodity_credit": credits[name],
                "short_option_minimum": found.minimum,
                "risk": max(before, found.minimum),
                "exposure": found.exposure,
            }
            steps += self._steps(name, parts[name])
        options = math.fsum(
            float(q) * value for q, value in zip(quantities, self.values, strict=True) if value != 0.0
        )
        exposure = math.fsum(p["exposure"] for p in parts.values())
        maintenance = math.fsum([*(p["risk"] for p in parts.values()), exposure, -options])
        initial = math.fsum(
            [*(tables[n].im_factor * p["risk"] for n, p in parts.items()), exposure, -options]
        )
        return Charge(
            im=initial,
            mm=maintenance,
            addons=_addons(parts),
            worst=WorstScenario(
                "; ".join(f"{n}: scenario {c.active + 1}" for n, c in held.items()) or "no positions",
                0.0 - math.fsum(c.scan for c in held.values()),
            ),
            vector=self._vector(held),
            steps=tuple(steps),
            figures={
                "commodities": pd.DataFrame.from_dict(parts, orient="index"),
                "losses": pd.DataFrame({n: c.losses for n, c in held.items()}, index=list(LABELS)),
            },
        )

    def _vector(self, held: Mapping[str, Commodity]) -> pd.Series:
        sums = [-math.fsum(c.losses[row] for c in held.values()) for row in range(16)]
        return pd.Series(sums, index=list(LABELS))

    def _steps(self, name: str, part: Mapping[str, float]) -> list[Step]:
        known = self.parameters

        def step(clause: str, what: str, key: str, *keys: str) -> Step:
            return Step(clause, f"{name}: {what}", part[key], self.currency, origin(known, *keys))

        return [
            Step("SPN-6", f"{name}: active scenario", part["active"], "number", origin(known, *_SCAN)),
            step("SPN-6", "scan risk", "scan", *_SCAN),
            step("SPN-7", "intermonth charge", "intermonth", "intermonth", "delta_weights"),
            step("SPN-8", "delivery charge", "delivery", "delivery_days", "delivery_outright_rate"),
            step("SPN-9", "intercommodity credit", "intercommodity_credit", "intercommodity"),
            step("SPN-10", "short option minimum", "short_option_minimum", "short_option_minimum"),
            step("SPN-11", "risk", "risk", *_SCAN, "short_option_minimum"),
            step("SPN-13", "exposure margin", "exposure", "exposure_rate"),
        ]


def _addons(parts: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return the positive charges beside the scan, summed over the commodities."""
    names = {"intermonth": "intermonth charge", "delivery": "delivery charge", "exposure": "exposure margin"}
    sums = {word: math.fsum(p[key] for p in parts.values()) for key, word in names.items()}
    return {word: amount for word, amount in sums.items() if amount > 0.0}


@dataclass(frozen=True, kw_only=True)
class Span(ListedRule):
    """Scenario margin of futures and options on futures, with spread charges and credits.

    Attributes
    ----------
    arrays : RiskArrays or mapping
        Arrays of contracts by name, which replace the own pricing; a mapping holds records with ``losses``
        (sixteen, positive a loss of one long contract) and ``delta``.
    sigma : mapping of str to float
        Volatility of a day by underlying, decimal, where the parameters are multiples of it.

    Notes
    -----
    Basis ``cash``: the requirement is risk minus net option value, so that ``im_equity`` is the risk. It can
    be negative where long options are worth more than the risk. Clauses SPN-1 to SPN-14.

    References
    ----------
    McMillan (2002), chapter 34.
    """

    name: ClassVar[str] = "span"
    basis: ClassVar[Basis] = "cash"
    citations: ClassVar[tuple[str, ...]] = ("mcmillan2002", "cmespan")
    accepts: ClassVar[tuple[str, tuple[type[Instrument], ...]]] = ("futures and options", (Future, Option))
    money_clause: ClassVar[str] = "SPN-12"

    variant: str = "cme"
    arrays: RiskArrays | Mapping[str, Any] = field(default_factory=dict, repr=False)
    sigma: Mapping[str, float] = field(default_factory=dict)

    @property
    def currency(self) -> str:
        """INR for the Indian variant, else USD."""
        return "INR" if self.variant == "nse" else "USD"

    def book(self, seen: ListedMarket) -> _SpanBook:
        """Return the positions with their risk arrays, given or priced."""
        portfolio, snapshot = seen.portfolio, seen.snapshot
        given = RiskArrays.of(self.arrays).arrays
        self._known(tuple(given), [i.name for i in portfolio.instruments], "risk array")
        self._known(tuple(self.sigma), list(portfolio.underlyings), "sigma")
        rows = {
            u: tuple(row for row, i in enumerate(portfolio.instruments) if i.underlying == u)
            for u in portfolio.underlyings
        }
        arrays = self._arrays(seen)
        instruments = portfolio.instruments
        return _SpanBook(
            instruments=instruments,
            values=tuple(
                i.multiplier * seen.marks[i.name] if isinstance(i, Option) else 0.0 for i in instruments
            ),
            lines={
                u: tuple(_line(instruments[row], snapshot, arrays) for row in chosen)
                for u, chosen in rows.items()
            },
            rows=rows,
            parameters=seen.parameters,
            currency=self.currency,
        )

    def risk_arrays(
        self,
        portfolio: Portfolio,
        snapshot: MarketSnapshot,
        parameters: ParameterSet | None = None,
        history: PriceHistory | None = None,
    ) -> RiskArrays:
        """Return the array of every contract of a portfolio: the given one, else by own pricing.

        Parameters
        ----------
        portfolio : Portfolio
        snapshot : MarketSnapshot
        parameters : ParameterSet, optional
            The set in force where it is left out.
        history : PriceHistory, optional
        """
        chosen = self.parameter_set(snapshot) if parameters is None else parameters
        seen = ListedMarket(portfolio, marks_of(portfolio, snapshot), snapshot, chosen, history)
        found = self._arrays(seen)
        return RiskArrays(arrays={i.name: found[i.name] for i in portfolio.instruments})

    def _arrays(self, seen: ListedMarket) -> dict[str, RiskArray]:
        portfolio, snapshot = seen.portfolio, seen.snapshot
        past = None
        if seen.history is not None:
            # a close stands at the end of its date, so that of the snapshot's own day is not known yet
            past = seen.history.until(f"{snapshot.as_of - pd.Timedelta(days=1):%Y-%m-%d}")
        arrays = dict(RiskArrays.of(self.arrays).arrays)
        for underlying in portfolio.underlyings:
            held = [i for i in portfolio.instruments if i.underlying == underlying and i.name not in arrays]
            if held:
                table: SpanParameters = seen.parameters.table(underlying)
                sigma = daily_vol(table, underlying, self.sigma.get(underlying), past)
                arrays |= risk_arrays_of(table, held, seen.marks, snapshot, sigma)
        return arrays

    def given(self, history: PriceHistory | None) -> dict[str, str]:
        """Return fingerprints of given arrays, vols and history, as far as there are any."""
        found = {}
        if self.arrays:
            found["arrays"] = RiskArrays.of(self.arrays).fingerprint
        if self.sigma:
            found["sigma"] = fingerprint(dict(self.sigma))
        if history is not None:
            found["history"] = history.fingerprint
        return found

    def _known(self, names: tuple[str, ...], held: list[str], what: str) -> None:
        unknown = [name for name in names if name not in held]
        if unknown:
            raise SchemaError(
                f"{what} for {unknown[0]!r}", f"one of {', '.join(held) or 'none'}", "correct or remove it"
            )


def _line(instrument: Instrument, snapshot: MarketSnapshot, arrays: Mapping[str, RiskArray]) -> Line:
    expiry = getattr(instrument, "expiry", snapshot.as_of)
    return Line(
        instrument=instrument,
        days=snapshot.days(expiry),
        array=arrays[instrument.name],
        spot=snapshot.spot(instrument.underlying),
    )
