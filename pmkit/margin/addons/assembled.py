"""A rule with parts on top and tools against procyclicality, and what each of them does."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

import numpy as np
import pandas as pd

from pmkit.core.errors import ConventionError, ParameterError
from pmkit.core.types import FloatArray
from pmkit.margin.accounts.account import Account
from pmkit.margin.addons.base import Part, PartCharge, PartInput
from pmkit.margin.addons.effects import PartEffects
from pmkit.margin.addons.tail import measured_tail
from pmkit.margin.apc import ApcTool, MarginInputs
from pmkit.margin.engine.measure_rule import MeasureRule
from pmkit.margin.result import MarginResult, Step
from pmkit.margin.rule import AnyRule
from pmkit.market.history import PriceHistory
from pmkit.market.snapshot import MarketSnapshot

__all__ = ["AssembledRule", "RuleLike"]


class _Pieces(NamedTuple):
    """What an assembled rule is made of for one account: base, charges, margins, USD per numeraire."""

    result: MarginResult
    given: PartInput
    charges: dict[str, PartCharge]
    inputs: MarginInputs
    rate: float


@dataclass(frozen=True, kw_only=True)
class AssembledRule:
    """A base rule with parts and tools, itself a rule.

    Attributes
    ----------
    base : rule
    parts : tuple of Part
        Charges on top, each with a name of its own; a :class:`StressPeriod` sees those before it.
    tools : tuple of ApcTool
        Applied to the sum, in this order; their memory is ``state``.
    stressed, long_window : rule or None
        Rules behind the stressed and the long-window margin that tools ask for.
    parts_set : str
        Id of the dated set that the parts come from; empty for parts of the caller's own.
    """

    base: AnyRule
    parts: tuple[Part, ...] = ()
    tools: tuple[ApcTool, ...] = ()
    stressed: AnyRule | None = None
    long_window: AnyRule | None = None
    parts_set: str = ""

    def __post_init__(self) -> None:
        names = self._names()
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ParameterError(f"two parts are called {repeated[0]!r}", "names that differ", "rename one")

    @property
    def name(self) -> str:
        """Name of the base rule with the names of parts and tools."""
        return " + ".join([self.base.name, *self._names()])

    @property
    def variant(self) -> str:
        """Variant of the base rule."""
        return self.base.variant

    def without(self, name: str) -> AssembledRule:
        """Return the rule with one part or tool switched off.

        Raises
        ------
        ParameterError
            The rule has none of that name.
        """
        names = self._names()
        if name not in names:
            raise ParameterError(
                f"no part {name!r}", f"one of {', '.join(names) or 'none'}", "correct the name"
            )
        return replace(
            self,
            parts=tuple(p for p in self.parts if p.name != name),
            tools=tuple(t for t in self.tools if t.name != name),
        )

    def requirement(
        self,
        account: Account,
        snapshot: MarketSnapshot,
        *,
        history: PriceHistory | None = None,
        state: Mapping[str, float] | None = None,
    ) -> MarginResult:
        """Return IM and MM of an account with every part, positive, in the numeraire of the base rule.

        Parameters
        ----------
        account : Account
        snapshot : MarketSnapshot
        history : PriceHistory, optional
            For rules that use one.
        state : mapping of str to float, optional
            ``state`` of the last result: the last answer of every tool, in the numeraire.

        Returns
        -------
        MarginResult
            ``addons`` holds every part and the effect of every tool by name (negative where a limit holds the
            margin down), ``figures["parts"]`` the figures behind them, ``state`` the memory of the tools.

        Raises
        ------
        PmkitError
            Whatever the base rule or a part raises.
        ConventionError
            The base rule answers coin by coin: parts in one currency need one numeraire.

        Notes
        -----
        Parts are charged in USD and turned into the numeraire at the index. Tools act on ``im_equity`` with
        all parts; MM keeps its share of it.
        """
        return self._built(self._pieces(account, snapshot, history), state)

    def line_im_equity(self, account: Account, snapshot: MarketSnapshot) -> FloatArray:
        """Return ``im_equity`` of each line alone with its parts, without tools, in the numeraire.

        Returns
        -------
        ndarray, shape (lines of the base rule,)
            Positions first; lines that are no position carry no parts.
        """
        lines = self.base.line_im_equity(account, snapshot)
        for at, position in enumerate(account.portfolio):
            one = account.with_portfolio(account.portfolio.with_positions((position,)))
            result = self._base(self.base, one, snapshot, None)
            rate = snapshot.usd_price(result.numeraire)
            extra = self._charges(self._given(one, snapshot, result, None))
            lines[at] += math.fsum(charge.im for charge in extra.values()) / rate
        return np.asarray(lines, dtype=np.float64)

    def effects(
        self, account: Account, snapshot: MarketSnapshot, *, history: PriceHistory | None = None
    ) -> PartEffects:
        """Return what each part and tool adds alone, and what the requirement loses without it.

        Raises
        ------
        PmkitError
            Whatever the base rule or a part raises.
        """
        found = self._pieces(account, snapshot, history)
        bare, whole = found.result, self._built(found, None)
        rows = {"base": (bare.im_equity, bare.mm_equity, math.nan)}
        for name in self._names():
            bare_rule = self.without(name)
            charges = bare_rule._charges(found.given, known=found.charges)
            less = bare_rule._built(found._replace(charges=charges), None)
            rows[name] = (whole.addons[name], math.nan, whole.im_equity - less.im_equity)
        rows["all"] = (whole.im_equity, whole.mm_equity, math.nan)
        frame = pd.DataFrame.from_dict(rows, orient="index", columns=["im", "mm", "effect"])
        frame.index.name = whole.numeraire
        return PartEffects(account=account.name, rule=self.name, table=frame, references=whole.cite())

    # -- inside ---------------------------------------------------------------------------------------------
    def _cited(self) -> list[str]:
        return [key for part in self.parts for key in getattr(part, "references", ())]

    def _names(self) -> list[str]:
        return [part.name for part in self.parts] + [tool.name for tool in self.tools]

    def _pieces(self, account: Account, snapshot: MarketSnapshot, history: PriceHistory | None) -> _Pieces:
        """Return the base requirement, every charge and the margins that tools draw on, each once."""
        result = self._base(self.base, account, snapshot, history)
        if result.parts:
            raise ConventionError(
                f"{result.rule} answers coin by coin: {', '.join(result.parts)}",
                "one numeraire",
                "split the account by coin, or use a rule in USD",
            )
        known = {}
        for what, used in (("stressed", self.stressed), ("long_window", self.long_window)):
            if used is None or not self.tools:
                continue
            other = self._base(used, account, snapshot, history)
            if other.numeraire != result.numeraire:
                raise ConventionError(
                    f"the {what} margin is in {other.numeraire}",
                    f"{result.numeraire}, as the base rule",
                    "use rules of one numeraire",
                )
            known[what] = other.im_equity
        given = self._given(account, snapshot, result, history)
        return _Pieces(
            result,
            given,
            self._charges(given),
            MarginInputs(**known),
            snapshot.usd_price(result.numeraire),
        )

    def _built(self, found: _Pieces, state: Mapping[str, float] | None) -> MarginResult:
        """Return the result of the parts and tools that this rule has."""
        result = found.result
        charged = {part.name: found.charges[part.name].im / found.rate for part in self.parts}
        kept = math.fsum(found.charges[part.name].mm / found.rate for part in self.parts)
        im = result.im_equity + math.fsum(charged.values())
        mm = min(result.mm_equity + kept, im)
        called, memory, moved = self._tools(im, found.inputs, state)
        final = result.mm_equity if im == 0.0 else mm * called / im
        premium = result.im_equity - result.im
        unit = result.numeraire
        clauses = {part.name: getattr(part, "clause", "PART-1") for part in self.parts}
        steps = [Step(clauses[name], f"part: {name}", x, unit, "assumed") for name, x in charged.items()]
        steps += [Step("PART-2", f"tool: {name}", x, unit, "assumed") for name, x in moved.items()]
        steps.append(Step("PART-3", "initial margin with all parts", called - premium, unit, "assumed"))
        steps.append(Step("PART-3", "maintenance margin with all parts", final - premium, unit, "assumed"))
        return replace(
            result,
            rule=self.name,
            param_set=f"{result.param_set} + {self.parts_set}" if self.parts_set else result.param_set,
            im=called - premium,
            mm=final - premium,
            addons={**result.addons, **charged, **moved},
            steps=(*result.steps, *steps),
            figures={
                **result.figures,
                "parts": {part.name: dict(found.charges[part.name].figures) for part in self.parts},
            },
            state=memory if self.tools else result.state,
            references=tuple(dict.fromkeys([*result.references, *self._cited()])),
            provenance=replace(
                result.provenance,
                method=f"margin.{self.name}",
                parameters={
                    **result.provenance.parameters,
                    "parts": [p.name for p in self.parts],
                    "tools": [repr(t) for t in self.tools],
                },
            ),
        )

    @staticmethod
    def _base(
        used: AnyRule, account: Account, snapshot: MarketSnapshot, history: PriceHistory | None
    ) -> MarginResult:
        if isinstance(used, MeasureRule):
            return used.requirement(account, snapshot, history=history)
        return used.requirement(account, snapshot)

    def _im_usd(
        self, used: AnyRule, account: Account, snapshot: MarketSnapshot, history: PriceHistory | None
    ) -> float:
        result = self._base(used, account, snapshot, history)
        return result.im_equity * snapshot.usd_price(result.numeraire)

    def _given(
        self,
        account: Account,
        snapshot: MarketSnapshot,
        result: MarginResult,
        history: PriceHistory | None,
    ) -> PartInput:
        base = self.base
        return PartInput(
            account=account,
            snapshot=snapshot,
            result=result,
            im_usd=result.im_equity * snapshot.usd_price(result.numeraire),
            requirement=lambda other: self._im_usd(base, other, snapshot, history),
            tail=(lambda: measured_tail(base, account, snapshot, history))
            if isinstance(base, MeasureRule)
            else None,
        )

    def _charges(
        self, given: PartInput, known: Mapping[str, PartCharge] | None = None
    ) -> dict[str, PartCharge]:
        """Return the charge of every part; those in ``known`` that see no others are not computed again."""
        if not len(given.account.portfolio):
            return {part.name: PartCharge(0.0, 0.0, {}) for part in self.parts}
        for part in self.parts:
            kept = None if known is None or getattr(part, "sees_others", False) else known[part.name]
            given = given.following(part.name, part.charge(given) if kept is None else kept)
        return dict(given.before)

    def _tools(
        self, im: float, inputs: MarginInputs, state: Mapping[str, float] | None
    ) -> tuple[float, dict[str, float], dict[str, float]]:
        """Return the margin after the tools, their memory, and what each of them changed."""
        if not self.tools:
            return im, {}, {}
        memory: dict[str, float] = dict(state or {})
        moved = {}
        called = max(im, 0.0)
        for tool in self.tools:
            after = tool.step(called, memory.get(tool.name), inputs)
            memory[tool.name], moved[tool.name] = after, after - called
            called = after
        return called, memory, moved


#: a rule, or a rule with parts on top
RuleLike: TypeAlias = AnyRule | AssembledRule
