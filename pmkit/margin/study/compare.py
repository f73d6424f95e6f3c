"""Several rules on one account, on one basis: requirement against equity, netting benefit, implied level."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from pmkit.core.errors import PmkitWarning
from pmkit.core.provenance import Provenance
from pmkit.core.result import Result, jsonable
from pmkit.core.types import FloatArray
from pmkit.margin.accounts.account import STABLECOINS, Account
from pmkit.margin.engine.measure_rule import MeasureRule
from pmkit.margin.parameters import Stale
from pmkit.margin.result import MarginResult
from pmkit.margin.rule import AnyRule, default_rules, rule
from pmkit.margin.rules.measure import EsFhs
from pmkit.market.history import PriceHistory
from pmkit.market.snapshot import MarketSnapshot
from pmkit.risk import PnLCube
from pmkit.scenarios import ScenarioSet

__all__ = ["Comparison", "compare", "implied_level", "netting_benefit"]


@dataclass(frozen=True, kw_only=True, repr=False)
class Comparison(Result):
    """The requirement of one account under several rules.

    Attributes
    ----------
    account : str
    as_of : pandas.Timestamp
    results : tuple of MarginResult
        With netting benefit, implied level and mean loss beyond filled in.
    spot : mapping of str to float
        USD per unit of each coin that is a numeraire.
    common : ScenarioSet
        The scenarios behind ``implied_level`` and ``mean_loss_beyond``.
    common_pnl : ndarray, shape (scenarios,)
        P&L of positions and collateral in USD over the common scenarios.
    settled : tuple of str
        Contracts that settle inside the horizon of the common scenarios.
    """

    account: str
    as_of: pd.Timestamp
    results: tuple[MarginResult, ...]
    spot: dict[str, float]
    common: ScenarioSet
    common_pnl: FloatArray = field(repr=False)
    settled: tuple[str, ...] = ()
    provenance: Provenance = field(default_factory=lambda: Provenance(method="margin.compare"))

    def cite(self) -> tuple[str, ...]:
        """Return the keys of the papers and documents behind any of the rules."""
        return tuple(dict.fromkeys(key for result in self.results for key in result.cite()))

    def check(self) -> None:
        """Raise where an identity of one of the results fails."""
        for result in self.results:
            result.check()

    def __getitem__(self, name: str) -> MarginResult:
        """Return the result of a rule by its label, for example ``"es-fhs"`` or ``"deribit-pm spm"``."""
        for label, result in zip(self.labels, self.results, strict=True):
            if name in (label, f"{result.rule} {result.variant}"):
                return result
        raise KeyError(f"no result {name!r}; one of {', '.join(self.labels)}")

    @property
    def labels(self) -> tuple[str, ...]:
        """One name a result: the rule, with its variant where the rule is there twice."""
        names = [r.rule for r in self.results]
        return tuple(r.rule if names.count(r.rule) == 1 else f"{r.rule} {r.variant}" for r in self.results)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Every warning of the results, each once."""
        return tuple(dict.fromkeys(text for r in self.results for text in r.warnings))

    def usd(self, result: MarginResult, amount: float) -> float:
        """Return an amount of a result in USD at the index."""
        return amount * self.spot.get(result.numeraire, 1.0)

    def summary(self) -> pd.DataFrame:
        """Return one row a rule: parameter set, requirements, equity, netting benefit, implied level."""
        rows = {
            label: {
                "param_set": r.param_set,
                "age_days": r.param_set_age_days,
                "numeraire": r.numeraire,
                "im": r.im,
                "mm": r.mm,
                "im_equity": r.im_equity,
                "im_usd": self.usd(r, r.im),
                "mm_usd": self.usd(r, r.mm),
                "im_equity_usd": self.usd(r, r.im_equity),
                "worst_scenario": r.worst_scenario.name,
                "worst_pnl": r.worst_scenario.pnl,
                "addons": math.fsum(r.addons.values()),
                "equity": r.equity,
                "equity_usd": self.usd(r, r.equity),
                "excess": r.excess,
                "margin_ratio": r.margin_ratio,
                "netting_benefit": r.netting_benefit,
                "implied_level": r.implied_level,
                "mean_loss_beyond": r.mean_loss_beyond,
                "status": r.status,
            }
            for label, r in zip(self.labels, self.results, strict=True)
        }
        frame = pd.DataFrame.from_dict(rows, orient="index")
        frame.index.name = "rule"
        return frame

    def to_frame(self) -> pd.DataFrame:
        """Return rule, item and value, one row each, add-ons by name included."""
        frames = [
            r.to_frame().rename_axis("item").reset_index().assign(rule=label)
            for label, r in zip(self.labels, self.results, strict=True)
        ]
        return pd.concat(frames, ignore_index=True)[["rule", "item", "value"]]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON record of the command line: as_of, account and one record a rule."""
        record: dict[str, Any] = jsonable(
            {"as_of": self.as_of, "account": self.account, "results": [r.to_dict() for r in self.results]}
        )
        return record


def netting_benefit(im_equity: float, lines: FloatArray) -> float:
    """Return 1 − im_equity(account) / Σ im_equity(lines alone); NaN where the lines need nothing.

    Lines are positions, and coin balances under a rule that revalues them; they carry no obligations, while
    the account's ``im_equity`` holds them. The benefit can be negative.

    Examples
    --------
    >>> netting_benefit(30.0, np.array([50.0, 70.0]))
    0.75
    """
    total = math.fsum(lines.tolist())
    return round(1.0 - im_equity / total, 12) + 0.0 if total > 0.0 else math.nan


def implied_level(
    result: MarginResult, account: Account, snapshot: MarketSnapshot, cube: PnLCube
) -> tuple[float, float]:
    """Return the share of scenarios whose loss exceeds ``im_equity``, and the mean loss beyond it.

    Parameters
    ----------
    result : MarginResult
    account : Account
    snapshot : MarketSnapshot
    cube : PnLCube
        The account's contracts over the common scenarios.

    Returns
    -------
    tuple of float
        Share, 0 to 1, and the mean of loss − im_equity over these scenarios, in the numeraire of the result;
        NaN where there is none.

    Notes
    -----
    The question is how often an account that holds exactly ``im_equity``, in the numeraire of the rule,
    would be wiped out. For a rule in USD the loss is that of positions and collateral in USD. For a rule in
    coin it is that of the positions in coin, a balance in the coin being riskless there. Requirements of
    several coins do not add up, so with parts the shortfalls are added in USD at the index of each scenario.
    """
    weights = cube.scenarios.weights
    if result.parts:
        terms = [
            (_coin_loss(cube, account, coin) - part.im_equity) * cube.spot1[coin]
            for coin, part in result.parts.items()
        ]
        beyond = terms[0]
        for term in terms[1:]:
            beyond = beyond + term
    elif result.numeraire in STABLECOINS:
        pnl = cube.account_pnl(account.portfolio, balances=account.balances(snapshot))
        beyond = -pnl - result.im_equity
    else:
        beyond = _coin_loss(cube, account, result.numeraire) - result.im_equity
    # A loss equal to the requirement but for rounding does not exceed it.
    ruined = beyond > 1e-9 * max(abs(result.im_equity), abs(result.equity))
    share = math.fsum(weights[ruined].tolist())
    if share == 0.0:
        return 0.0, math.nan
    return share, math.fsum((weights[ruined] * beyond[ruined]).tolist()) / share


def _coin_loss(cube: PnLCube, account: Account, coin: str) -> FloatArray:
    book = account.portfolio.of_underlying(coin)
    if not len(book):
        return np.zeros(len(cube))
    loss: FloatArray = -cube.account_pnl(book, numeraire=coin)
    return loss


def compare(
    account: Account,
    snapshot: MarketSnapshot,
    rules: Sequence[str | AnyRule] | None = None,
    history: PriceHistory | None = None,
    common: ScenarioSet | None = None,
    stale: Stale = "error",
    estimation_error: bool = False,
) -> Comparison:
    """Return the requirement of an account under several rules with what makes them comparable.

    Parameters
    ----------
    account : Account
    snapshot : MarketSnapshot
    rules : sequence of str or rule, optional
        Names, or objects of :func:`pmkit.margin.rule` with options of their own; all rules where left out.
    history : PriceHistory, optional
        Prices behind the rules that need them; the shipped daily history where it is left out.
    common : ScenarioSet, optional
        Scenarios of the implied level; those of ``es-fhs`` where it is left out.
    stale : {"error", "warn"}
        For rules given by name: what happens with parameters past their last observation.
    estimation_error : bool
        For ``es-fhs`` given by name: also compute the estimation error, which takes seconds.

    Returns
    -------
    Comparison

    Raises
    ------
    PmkitError
        Whatever a rule raises for the account, the snapshot or the date.
    """
    made = [
        _named(r, stale, estimation_error) if isinstance(r, str) else r
        for r in (default_rules() if rules is None else rules)
    ]
    yardstick = next((r for r in made if isinstance(r, EsFhs)), None) or EsFhs(stale=stale)
    results: list[MarginResult] = []
    for one in made:
        if isinstance(one, MeasureRule):
            results.append(one.requirement(account, snapshot, history=history))
        else:
            results.append(one.requirement(account, snapshot))
    scenarios = yardstick.scenarios(account, snapshot, history=history) if common is None else common
    cube = yardstick.cube(account, snapshot, scenarios)
    filled = []
    for one, result in zip(made, results, strict=True):
        level, beyond = implied_level(result, account, snapshot, cube)
        benefit = netting_benefit(result.im_equity, _lines(one, account, snapshot, history))
        filled.append(replace(result, netting_benefit=benefit, implied_level=level, mean_loss_beyond=beyond))
    return Comparison(
        account=account.name,
        as_of=snapshot.as_of,
        results=tuple(filled),
        spot={u: snapshot.spot(u) for u in snapshot.underlyings},
        common=scenarios,
        common_pnl=cube.account_pnl(account.portfolio, balances=account.balances(snapshot)),
        settled=tuple(i.name for i in account.portfolio.instruments if i.name in cube.settled),
        provenance=Provenance(
            method="margin.compare",
            data={
                "common scenarios": scenarios.fingerprint,
                **{f"{r.rule} {r.variant}": r.provenance.id for r in filled},
            },
            seed=scenarios.provenance.seed,
            simulated=scenarios.provenance.simulated,
        ),
    )


def _named(name: str, stale: Stale, estimation_error: bool) -> AnyRule:
    if name == EsFhs.name:
        return rule(name, stale=stale, estimation_error=estimation_error)
    return rule(name, stale=stale)


def _lines(
    one: AnyRule, account: Account, snapshot: MarketSnapshot, history: PriceHistory | None
) -> FloatArray:
    with warnings.catch_warnings():
        # the requirement has given every warning already
        warnings.simplefilter("ignore", PmkitWarning)
        if isinstance(one, MeasureRule):
            return one.line_im_equity(account, snapshot, history=history)
        return one.line_im_equity(account, snapshot)
