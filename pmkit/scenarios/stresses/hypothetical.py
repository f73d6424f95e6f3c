"""Moves that are set, and the rest of the market as then expected: the predictive stress."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from pmkit.core.errors import ConventionError, ParameterError
from pmkit.core.provenance import Provenance
from pmkit.core.types import Dynamics
from pmkit.market.history import PriceHistory
from pmkit.market.snapshot import MarketSnapshot
from pmkit.scenarios.conditional import position_of
from pmkit.scenarios.factor_covariance import FactorCovariance
from pmkit.scenarios.factors import Factor, check_moves
from pmkit.scenarios.response import DEFAULT_RESPONSE, FactorResponse
from pmkit.scenarios.response_covariance import factor_covariance
from pmkit.scenarios.scenario_set import ScenarioSet

__all__ = ["Moves", "hypothetical"]

Moves = Mapping[str | Factor, float]


def hypothetical(
    given: Moves,
    snapshot: MarketSnapshot,
    dynamics: Dynamics,
    model: FactorCovariance | PriceHistory | None,
    underlyings: Sequence[str] | None,
    response: FactorResponse | str,
    aged: bool,
) -> ScenarioSet:
    """Return the one scenario of set moves with the rest at its expectation."""
    if model is None:
        raise ConventionError(
            "set moves without a model",
            "a covariance of all factors, which says what the others do",
            "pass model=history, or model=factor_covariance(history, snapshot)",
        )
    if isinstance(model, PriceHistory):
        law = factor_covariance(model, snapshot, underlyings=underlyings, response=response)
    elif underlyings is not None:
        raise ConventionError(
            "underlyings beside a covariance", "one of the two", "build the covariance for these underlyings"
        )
    elif response != DEFAULT_RESPONSE:
        raise ConventionError(
            "response beside a covariance, which holds one", "one of the two", "build the covariance with it"
        )
    else:
        law = model
    logs: dict[str | Factor, float] = {}
    for key, move in given.items():
        factor = law.factors[position_of(law.factors, key)]
        if isinstance(move, bool) or not isinstance(move, (int, float)):
            raise ParameterError(f"the move of {factor.label} is {move!r}", "a number", "correct it")
        relative = factor.kind in ("spot", "vol", "fx")
        as_spot = [Factor("spot", factor.underlying)] if relative else [factor]
        check_moves(as_spot, np.array([[float(move)]]), "relative", "relative", [factor.label])
        logs[factor] = math.log1p(move) if relative else float(move)
    law_given = law.conditional(logs)
    kept = [i for i, f in enumerate(law.factors) if aged or f.kind != "fixing"]
    frame = law_given.to_frame().iloc[kept]
    words = ", ".join(f"{f.label} {_said(f, logs[f])}" for f in law.factors if f in logs)
    spread = ", ".join(
        f"{f.label} {_said(f, float(x))} (sd {s:.3g})"
        for f, x, s in zip(law.factors, law_given.expected, law_given.sd, strict=True)
        if f not in logs and f.kind in ("spot", "vol", "fx")
    )
    return ScenarioSet(
        name="hypothetical stress",
        factors=tuple(law.factors[i] for i in kept),
        shocks=law_given.expected[None, kept],
        horizon_days=law.horizon_days if aged else 0.0,
        dynamics=dynamics,
        vol_term=law.vol_term,
        labels=(words,),
        n_independent=law.n_independent,
        provenance=Provenance(
            method="scenarios.stress",
            data={"law": law.fingerprint, "snapshot": snapshot.fingerprint, "source": law.provenance.id},
            parameters={
                "moves": {f.label: x for f, x in logs.items() if isinstance(f, Factor)},
                "conditional_sd": frame["conditional sd"].to_dict(),
                "status": frame["move is"].to_dict(),
                "distance": law_given.distance,
            },
            simulated=law.provenance.simulated,
        ),
        notes=(
            f"set: {words}, {law_given.distance:.3g} standard deviations over {law.horizon_days:g} days",
            *((f"expected given these, logs' conditional sd in brackets: {spread}",) if spread else ()),
            *law.notes,
        ),
        references=law.references,
    )


def _said(factor: Factor, move: float) -> str:
    """Return a move in words: per cent where it is a price or a vol."""
    relative = factor.kind in ("spot", "vol", "fx")
    return f"{math.expm1(move):+.1%}" if relative else f"{move:+.4g}"
