"""Initial and maintenance margin of a rule as terms, for the rules that are programmes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from pmkit.core.errors import ParameterError
from pmkit.instruments import Instrument
from pmkit.margin import Account
from pmkit.margin.result import MarginResult
from pmkit.margin.rule import AnyRule
from pmkit.margin.rules.deribit_pm import DeribitPm
from pmkit.margin.rules.derive_pmrm_v2 import DerivePmrmV2
from pmkit.margin.rules.paradex_pm import ParadexPm
from pmkit.margin.rules.tims import Tims
from pmkit.margin.schemas import RiskMatrixParameters
from pmkit.optimize.linear.model import Affine
from pmkit.optimize.rules.deribit import encode_deribit
from pmkit.optimize.rules.deribit_shock import ShockRegion
from pmkit.optimize.rules.derive import encode_derive
from pmkit.optimize.rules.paradex import encode_paradex
from pmkit.optimize.rules.shared import Encoded, coins_of
from pmkit.optimize.rules.tims import encode_tims
from pmkit.optimize.terms.base import Outcome, Term, Workspace, quietly

__all__ = ["Requirement", "optimisable_rules"]


def optimisable_rules() -> tuple[str, ...]:
    """Return the names of the rules that :class:`Requirement` takes.

    Examples
    --------
    >>> optimisable_rules()
    ('deribit-pm', 'paradex-pm', 'derive-pmrm-v2', 'tims')
    """
    return tuple(kind.name for kind in (DeribitPm, ParadexPm, DerivePmrmV2, Tims))


@dataclass(frozen=True)
class Requirement(Term):
    """Margin that a rule asks for, in its numeraire: a coin under ``deribit-pm``, else USD.

    Attributes
    ----------
    rule : rule
        From :func:`pmkit.margin.rule`: ``deribit-pm`` (both variants), ``paradex-pm``, ``derive-pmrm-v2`` or
        ``tims``.
    which : {"im", "mm"}
        Initial or maintenance margin.
    region : ShockRegion, optional
        Signs inside which the delta shock of ``deribit-pm`` is exact; set by the search, not by callers.

    Raises
    ------
    ParameterError
        A rule that is no programme, named with the reason.

    Notes
    -----
    Exact as linear programmes: ``deribit-pm`` (worst entry with its dampener, roll shock, contingencies of
    the older variant), ``paradex-pm`` and ``tims``; ``derive-pmrm-v2`` with one binary for each skew row of
    an expiry whose static discounts differ, and with oracles trusted in full. The delta shock of
    ``deribit-pm`` is not convex: as an objective it is searched region by region and the gap to a valid bound
    is reported; inside a sum or a limit it is left out, and the status says where that matters.
    """

    rule: AnyRule
    which: Literal["im", "mm"] = "im"
    region: ShockRegion | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.which not in ("im", "mm"):
            raise ParameterError(f"which is {self.which!r}", "'im' or 'mm'", "name one of the two")
        if not isinstance(self.rule, (DeribitPm, ParadexPm, DerivePmrmV2, Tims)):
            name = getattr(self.rule, "name", type(self.rule).__name__)
            raise ParameterError(
                f"{name} cannot be optimised: it is not written as a programme here",
                f"one of {', '.join(optimisable_rules())}",
                "minimise an expected shortfall with Shortfall(cube), or use one of these rules",
            )

    @property
    def label(self) -> str:
        """Name in tables and messages."""
        return f"{self.which.upper()} {self.rule.name} {self.rule.variant}".strip()

    @property
    def unit(self) -> str:
        """The numeraire, which depends on the contracts: see :meth:`numeraire`."""
        return "numeraire"

    def numeraire(self, instruments: Sequence[Instrument], account: Account) -> str:
        """Return the currency of the amount: the coin where a coin rule sees one alone, else USD."""
        coins = coins_of(instruments, account)
        return coins[0] if isinstance(self.rule, DeribitPm) and len(coins) == 1 else "USD"

    def encode(self, work: Workspace) -> Affine:
        """Return the requirement as an expression of the quantities."""
        with quietly():
            found = self._encoded(work)
        return found.im if self.which == "im" else found.mm

    def _encoded(self, work: Workspace) -> Encoded:
        if isinstance(self.rule, DeribitPm):
            return encode_deribit(self.rule, work, self.region)
        if isinstance(self.rule, ParadexPm):
            return encode_paradex(self.rule, work)
        if isinstance(self.rule, Tims):
            return encode_tims(self.rule, work)
        assert isinstance(self.rule, DerivePmrmV2)
        return encode_derive(self.rule, work)

    def result(self, outcome: Outcome) -> MarginResult | None:
        """Return what the rule itself answers; None for an account without positions and collateral."""
        account = outcome.account
        if not len(account.portfolio) and not any(account.collateral.values()):
            return None
        return self.rule.requirement(account, outcome.snapshot)

    def value(self, outcome: Outcome) -> float:
        """Return what the rule itself asks of the account at the outcome."""
        found = self.result(outcome)
        return 0.0 if found is None else float(getattr(found, self.which)) * self._unit(found, outcome)

    def rounding(self, outcome: Outcome) -> float:
        """Return half a unit of the last place to which the rule rounds its worst case."""
        return sum(
            0.5 * 10.0**-table.worst_case_decimals * unit
            for _, table, unit in self._coins(outcome)
            if table.worst_case_decimals is not None
        )

    def left_out(self, outcome: Outcome) -> float:
        """Return the delta shock of ``deribit-pm``, which is not convex in the quantities."""
        coins = [] if self.region is not None else self._coins(outcome)
        found = self.result(outcome) if coins else None
        if found is None:
            return 0.0
        shocks = {p.numeraire: p.addons["delta_shock"] for p in (found.parts.values() or (found,))}
        return sum(
            shocks.get(coin, 0.0) * unit * (1.0 if self.which == "im" else table.mm_factor)
            for coin, table, unit in coins
        )

    def _coins(self, outcome: Outcome) -> list[tuple[str, RiskMatrixParameters, float]]:
        """Return coin, parameters and unit in the numeraire of every matrix of ``spm``; empty otherwise."""
        if not isinstance(self.rule, DeribitPm) or self.rule.variant != "spm":
            return []
        coins = coins_of(outcome.instruments, outcome.account)
        spot = outcome.snapshot.spot
        with quietly():
            return [
                (c, self.rule.parameter_set(outcome.snapshot, c).table(c), spot(c) if len(coins) > 1 else 1.0)
                for c in coins
            ]

    def _unit(self, found: MarginResult, outcome: Outcome) -> float:
        """Return the factor from the result's numeraire to that of the programme."""
        if isinstance(self.rule, DeribitPm) and found.numeraire != "USD":
            several = len(coins_of(outcome.instruments, outcome.account)) > 1
            return outcome.snapshot.spot(found.numeraire) if several else 1.0
        return 1.0
