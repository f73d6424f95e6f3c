"""Rules put together: parts and tools on a rule, and the designs that clearing houses have published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from pmkit.core.errors import ParameterError
from pmkit.margin.addons.assembled import AssembledRule
from pmkit.margin.addons.base import Part
from pmkit.margin.addons.liquidity import SpreadCost
from pmkit.margin.addons.offsets import DiversificationCap
from pmkit.margin.addons.stress import StressPeriod, WorstCaseCorrelationMode
from pmkit.margin.addons.windows import CorrelationBreak, Subsamples
from pmkit.margin.apc import ApcTool
from pmkit.margin.parameters import ParameterSet, Stale, load_parameter_sets, select_set
from pmkit.margin.rule import AnyRule
from pmkit.margin.rule import rule as make_rule
from pmkit.margin.schemas import SCHEMAS, MeasureDesignParameters

__all__ = ["assembled_rule", "with_parts"]

_RULE = "measure-design"
#: what makes each part, in the order in which they are charged
_PARTS: Mapping[str, type[Any]] = {
    "subsamples": Subsamples,
    "correlation_break": CorrelationBreak,
    "stress_period": StressPeriod,
    "worst_case": WorstCaseCorrelationMode,
    "diversification_cap": DiversificationCap,
    "spread": SpreadCost,
}


def with_parts(
    rule: str | AnyRule,
    parts: Sequence[Part] = (),
    *,
    tools: Sequence[ApcTool] = (),
    stressed: AnyRule | None = None,
    long_window: AnyRule | None = None,
    stale: Stale = "error",
) -> AssembledRule:
    """Return a rule with parts on top and tools against procyclicality.

    Parameters
    ----------
    rule : str or rule
        The base rule.
    parts : sequence of Part
    tools : sequence of ApcTool
    stressed, long_window : rule, optional
        Rules in the numeraire of the base rule, for tools that ask for their margin.
    stale : {"error", "warn"}
        For a base rule given by name.

    Raises
    ------
    ParameterError
        Two parts or tools of one name.
    RuleVersionError
        An unknown rule.

    Examples
    --------
    >>> from pmkit.margin.addons.basis import BasisRisk
    >>> made = with_parts("es-fhs", [BasisRisk(annualised=0.05, minimum=0.002)])
    >>> made.name, made.without("basis").name
    ('es-fhs + basis', 'es-fhs')
    """
    base = make_rule(rule, stale=stale) if isinstance(rule, str) else rule
    return AssembledRule(
        base=base, parts=tuple(parts), tools=tuple(tools), stressed=stressed, long_window=long_window
    )


def assembled_rule(
    design: str,
    as_of: str | pd.Timestamp | None = None,
    *,
    parameters: ParameterSet | None = None,
    parts: Sequence[Part] = (),
    **options: Any,
) -> AssembledRule:
    """Return a rule from a risk measure with the parts of a published clearing-house design, in USD.

    Parameters
    ----------
    design : {"stans", "prisma", "irm-2", "span-2"}
        Whose shape the parts follow. The shape is published; the numbers are a choice of this package, dated
        in the set, and say so.
    as_of : str or Timestamp, optional
        Date that selects the set; the newest one where left out. Choices of this package do not grow stale.
    parameters : ParameterSet, optional
        A set of the caller's own instead, such as one with a part switched off.
    parts : sequence of Part
        Further parts, after those of the design: concentration needs volumes, which no set knows.
    **options
        Options of the base rule, such as ``n_paths`` or ``seed``.

    Returns
    -------
    AssembledRule
        ``without(name)`` switches a part off and ``effects(account, snapshot)`` shows what each of them does.

    Raises
    ------
    ParameterError
        An unknown design, or an option that the base rule does not have.
    RuleVersionError
        No set for the date.

    Notes
    -----
    Clauses PART-4 to PART-8. Event risk, compression error, seasonality and long-option credit are no parts
    here.

    References
    ----------
    Securities and Exchange Commission (2021), on STANS; Eurex Clearing (2026); Intercontinental Exchange
    (undated), IRM 2; CME Group (undated), SPAN 2.

    Examples
    --------
    >>> made = assembled_rule("prisma")
    >>> [part.name for part in made.parts]
    ['subsamples', 'correlation break', 'stress period', 'spread']
    """
    if design not in SCHEMAS[_RULE]:
        raise ParameterError(
            f"unknown design {design!r}", f"one of {', '.join(SCHEMAS[_RULE])}", "correct the name"
        )
    sets = load_parameter_sets(_RULE) if parameters is None else (parameters,)
    newest = max(s.valid_from for s in sets if s.variant == design)
    chosen = select_set(sets, newest if as_of is None else as_of, design)
    table: MeasureDesignParameters = chosen.table("*")
    own = select_set(load_parameter_sets(table.base), chosen.valid_from if as_of is None else as_of, "base")
    asked = {key: getattr(table, key) for key in ("im_level", "mm_level", "horizon_days")}
    changed = {key: value for key, value in asked.items() if value != getattr(own.table("*"), key)}
    base = make_rule(table.base, as_of=as_of, **{**changed, **options})
    made = []
    for key, kind in _PARTS.items():
        values = getattr(table, key).model_dump()
        if values.pop("on"):
            made.append(kind(**values))
    return replace(with_parts(base, [*made, *parts]), parts_set=chosen.id)
