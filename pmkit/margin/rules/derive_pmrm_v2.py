"""``derive-pmrm-v2`` (clauses DV2): weighted tails, skew rows, two static discounts, collateral terms."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pmkit.core.types import FloatArray
from pmkit.margin.accounts.account import Account
from pmkit.margin.conformance.feeds import CollateralFeed, ExpiryFeed
from pmkit.margin.engine.expiry_many import SharedExpiryRule
from pmkit.margin.engine.expiry_matrix import (
    Amounts,
    ExpiryMatrixBook,
    HeldBook,
)
from pmkit.margin.engine.expiry_options import shocked_vols
from pmkit.margin.engine.risk_matrix import ExpiryOptions, ExpiryTransform
from pmkit.margin.parameters import ParameterSet
from pmkit.margin.result import Step
from pmkit.margin.schemas import CollateralTerms, PmrmV2Parameters
from pmkit.market.snapshot import MarketSnapshot

__all__ = ["DerivePmrmV2", "skew_multipliers"]


def skew_multipliers(options: ExpiryOptions, word: str, table: PmrmV2Parameters) -> FloatArray:
    """Return the vol multipliers of a skew row: linear in log-moneyness up to a cap, 0 at least."""
    root = math.sqrt(options.tau)
    linear = word == "linear skew"
    slope, base = (
        (table.linear_root_cap, table.linear_base_cap) if linear else (table.abs_root_cap, table.abs_base_cap)
    )
    cap = slope * root + base
    width = root * table.width_scale * (table.vol_param_static + table.vol_param_scale * root)
    k = np.log(options.strike / options.forward)
    tilt = (k if linear else np.abs(k)) * cap / max(table.min_k_star, width)
    return np.maximum(1.0 + np.minimum(np.maximum(tilt, -cap), cap), 0.0)


@dataclass(frozen=True, kw_only=True)
class _BookV2(ExpiryMatrixBook):
    table: PmrmV2Parameters
    terms: tuple[CollateralTerms, ...]
    confidences: tuple[float, ...]
    prefix: ClassVar[str] = "DV2"

    def finish(self, held: HeldBook) -> Amounts:
        t = self.table
        perpetuals, naked = self.spot * abs(held.perpetuals), self.spot * held.naked
        values = held.coin_values
        parts = {
            "perpetual contingency": (t.mm_perp_percent * perpetuals, t.im_perp_percent * perpetuals),
            "option contingency": (t.mm_option_percent * naked, t.im_option_percent * naked),
            "collateral haircut": (
                math.fsum(c.mm_haircut * v for c, v in zip(self.terms, values, strict=True)),
                math.fsum(c.im_haircut * v for c, v in zip(self.terms, values, strict=True)),
            ),
        }
        doubt = self.doubt(held, abs(held.perpetuals))
        spot = self.feeds.underlying(self.underlying).spot_confidence
        doubt += [self.penalty(min(c, spot), t) * v for c, v in zip(self.confidences, values, strict=True)]
        confidence = math.fsum(doubt)
        maintenance = math.fsum(low for low, _ in parts.values())
        extra = math.fsum([*(high for _, high in parts.values()), confidence])
        factor = t.im_factor + self.peg_loss(t)
        return Amounts(
            maintenance + extra - factor * held.worst.pnl,
            maintenance - t.mm_factor * held.worst.pnl,
            {
                **{name: low + high for name, (low, high) in parts.items()},
                "confidence contingency": confidence,
            },
            factor,
            parts,
        )

    def last_steps(self, held: HeldBook, found: Amounts) -> list[Step]:
        steps = []
        for name, (low, high) in found.parts.items():
            key = {"perpetual contingency": "perp_percent", "option contingency": "option_percent"}.get(name)
            keys = ("collateral",) if key is None else (f"mm_{key}", f"im_{key}")
            steps.append(self.step(9, name, low, keys[0]))
            steps.append(self.step(9, f"{name}, more for initial margin", high, keys[-1]))
        confidence = found.addons["confidence contingency"]
        return [
            *steps,
            self.step(10, "confidence contingency", confidence, "confidence_threshold", "confidence_margin"),
            self.step(11, "maintenance factor", self.table.mm_factor, "mm_factor", unit="1"),
            self.step(12, "initial factor", found.factor, "im_factor", "peg_loss_factor", unit="1"),
        ]


@dataclass(frozen=True, kw_only=True)
class DerivePmrmV2(SharedExpiryRule):
    """Derive's second portfolio margin: discounted values, weighted tail rows, skew rows, collateral terms.

    Notes
    -----
    ``net MM = mm_factor * worst - MM contingencies + equity`` and ``net IM = (im_factor + peg loss) * worst -
    MM contingencies - further IM contingencies + equity``. Collateral that moves with spot is in the
    scenarios and haircut besides, as the venue does it.
    """

    name: ClassVar[str] = "derive-pmrm-v2"
    collateral_treatment: ClassVar[str] = "haircut, and moved with spot where the venue does"
    money_clauses: ClassVar[tuple[str, str]] = ("DV2-11", "DV2-12")

    variant: str = "mainnet"

    def eligible(self, underlying: str, parameters: ParameterSet) -> tuple[str, ...]:
        """Return the currencies with collateral terms."""
        return tuple(parameters.table(underlying).collateral)

    def book(
        self, account: Account, balances: Mapping[str, CollateralFeed], snapshot: MarketSnapshot,
        parameters: ParameterSet, underlyings: tuple[str, ...],
    ) -> _BookV2:  # fmt: skip
        """Return the account revalued over the scenarios."""
        table: PmrmV2Parameters = parameters.table(underlyings[0])
        common = self.common(account, balances, snapshot, parameters, underlyings[0])
        terms = tuple(table.collateral[name] for name in balances)
        return _BookV2(
            **common,
            moving=np.array([c.moves_with_spot for c in terms], dtype=bool),
            table=table,
            terms=terms,
            confidences=tuple(feed.confidence for feed in balances.values()),
        )

    def discount(self, feed: ExpiryFeed, tau: float) -> float:
        """Return the discount factor at the rate of the expiry, which counts as 0 where it is negative."""
        return math.exp(-max(feed.rate, 0.0) * tau)

    def vols(self, options: ExpiryOptions, words: Sequence[str], table: PmrmV2Parameters) -> FloatArray:
        """Return the vols after the shocks, upward ones with a floor, skew rows with their multipliers."""
        vols = shocked_vols(options, words, table, floor=table.min_volatility_for_shock_up)
        for column, word in enumerate(words):
            if word.endswith("skew"):
                vols[:, column] = options.iv * skew_multipliers(options, word, table)
        return vols

    def transform(
        self, options: ExpiryOptions, words: Sequence[str], feed: ExpiryFeed, table: PmrmV2Parameters
    ) -> ExpiryTransform:
        """Return the two static discounts: values down, debts up but not above their undiscounted size."""
        rate = max(feed.rate, 0.0)
        down = table.long_discount * math.exp(
            -options.tau * (rate * table.long_rate_mult + table.long_rate_add)
        )
        grown = options.tau * (rate * table.short_rate_mult + table.short_rate_add)
        # the cut exponent keeps the exponential finite; the other side of the minimum is smaller by far
        up = min(table.short_discount * math.exp(min(grown, 700.0)), 1.0 / options.discount)
        skew = np.array([word.endswith("skew") for word in words])

        def transformed(shocked: FloatArray, mark: float | FloatArray) -> FloatArray:
            pnl = np.where(shocked >= 0.0, shocked * down, shocked * up) - mark
            return np.where(skew, -np.abs(pnl), pnl)

        return transformed
