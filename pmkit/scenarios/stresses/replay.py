"""A day of the past on the market of the snapshot: spot as it moved, vol and basis as they respond."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.provenance import Provenance
from pmkit.core.types import Dynamics, FloatArray
from pmkit.market.history import PriceHistory
from pmkit.market.snapshot import MarketSnapshot
from pmkit.scenarios.conditional import position_of
from pmkit.scenarios.factor_covariance import FactorCovariance
from pmkit.scenarios.factors import Factor
from pmkit.scenarios.response import FactorResponse
from pmkit.scenarios.scenario_set import ScenarioSet
from pmkit.scenarios.stresses.events import StressEvent

__all__ = ["Replay"]


@dataclass(frozen=True, kw_only=True)
class Replay:
    """The arguments of named stresses, shared by all of them."""

    snapshot: MarketSnapshot
    names: list[str]
    dynamics: Dynamics
    model: FactorCovariance | PriceHistory | None
    aged: bool
    assets: Mapping[str, str]
    betas: Mapping[str, float]
    vol_moves: Mapping[str, float]
    currencies: tuple[str, ...]
    law: FactorResponse

    def __post_init__(self) -> None:
        for word in ("assets", "betas", "vol_moves"):
            odd = [name for name in getattr(self, word) if name not in self.names]
            if odd:
                raise ParameterError(
                    f"{word} names {', '.join(odd)}",
                    f"underlyings of the set: {', '.join(self.names)}",
                    "correct the name",
                )
        for name, beta in self.betas.items():
            if isinstance(beta, bool) or not isinstance(beta, (int, float)) or not math.isfinite(beta):
                raise ParameterError(f"beta of {name} is {beta!r}", "a finite number", "correct it")

    def of(self, event: StressEvent) -> ScenarioSet:
        """Return the one scenario of an event."""
        paths, spots, words = self._paths(event)
        horizon = event.days if self.aged else 0.0
        offsets = np.array([(day - event.path.index[0]).days for day in event.path.index], dtype=np.float64)
        factors: list[Factor] = []
        moves: list[float] = []
        status: list[str] = []
        for name in self.names:
            path = paths[name]
            spot = float(path[-1])
            vol, said = self._vol(name, spot)
            words.append(said)
            factors += [Factor("spot", name), Factor("vol", name)]
            moves += [spot, vol]
            status += [spots[name], "given" if name in self.vol_moves else "assumed"]
            own = self.law.underlyings.get(name)
            for expiry in sorted(self.snapshot.market(name).forwards):
                days = self.snapshot.days(expiry)
                if 0.0 < days <= horizon:
                    factors.append(Factor("fixing", name, expiry))
                    moves.append(float(np.interp(days, offsets, path)))
                    status.append(spots[name])
                elif days > horizon and own is not None:
                    factors.append(Factor("basis", name, expiry))
                    moves.append(self.law.basis_scale(days) * own.basis_slope * spot)
                    status.append("assumed")
        for currency in self.currencies:
            if currency not in event.path.columns:
                raise DataGapError(
                    f"{currency} has no price in {event.name!r} ({event.source})",
                    f"one of {', '.join(map(str, event.path.columns))}",
                    "leave it out of currencies",
                )
            factors.append(Factor("fx", currency))
            moves.append(float(event.path[currency].iloc[-1]))
            status.append("observed")
            words.append(f"{currency}: {math.expm1(moves[-1]):+.2%} in USD, observed")
        first, last = event.path.index[0], event.path.index[-1]
        return ScenarioSet(
            name=event.name,
            factors=tuple(factors),
            shocks=np.array([moves]),
            horizon_days=horizon,
            dynamics=self.dynamics,
            vol_term=self.law.vol_term,
            labels=(event.name,),
            provenance=Provenance(
                method="scenarios.stress",
                data={"event": event.provenance.id, "snapshot": self.snapshot.fingerprint,
                      "response": self.law.fingerprint},
                parameters={"event": event.name, "before": f"{first:%Y-%m-%d}", "until": f"{last:%Y-%m-%d}",
                            "aged": self.aged, "assets": dict(self.assets), "betas": dict(self.betas),
                            "vol_moves": dict(self.vol_moves),
                            "status": {f.label: word for f, word in zip(factors, status, strict=True)}},
            ),
            notes=(
                f"{event.title}: closes of {first:%Y-%m-%d} and {last:%Y-%m-%d} from {event.source}"
                + (", typed in" if event.typed else ""),
                *words,
                self.law.note(self.snapshot.as_of),
                "time passes as it did then; a settlement inside is read on the straight line between closes"
                if self.aged
                else "moves come at once, no time passes",
            ),
            references=event.references,
        )  # fmt: skip

    def _paths(self, event: StressEvent) -> tuple[dict[str, FloatArray], dict[str, str], list[str]]:
        """Return the log path of each underlying, its status, and in words where it comes from."""
        seen, words, paths = [], [], {}
        for name in self.names:
            column = self.assets.get(name, name)
            if column in event.path.columns and name not in self.betas:
                paths[name] = event.path[column].to_numpy(dtype=np.float64)
                seen.append(name)
                said = "observed" if column == name else f"that of {column}, observed"
                words.append(f"{name}: {math.expm1(float(paths[name][-1])):+.2%}, {said}")
        lead = event.path[event.lead].to_numpy(dtype=np.float64)
        for name in self.names:
            if name in paths:
                continue
            if name in self.betas:
                beta = float(self.betas[name])
                paths[name] = beta * lead
                how = f"beta {beta:g} to {event.lead}"
            else:
                weights = self._expected(name, seen, event)
                paths[name] = np.add.reduce([w * paths[u] for u, w in weights.items()])
                how = "expected given " + ", ".join(f"{w:.3g} of {u}" for u, w in weights.items())
            words.append(f"{name}: {math.expm1(float(paths[name][-1])):+.2%}, assumed: {how}")
        return paths, {u: "observed" if u in seen else "assumed" for u in self.names}, words

    def _expected(self, name: str, seen: Sequence[str], event: StressEvent) -> dict[str, float]:
        """Return the weights on observed moves that give the conditional expectation of another."""
        if self.model is None or not seen:
            raise DataGapError(
                f"{name} has no price in {event.name!r} ({event.source})",
                "a move for every underlying",
                f"name its column with assets={{'{name}': ...}}, give betas={{'{name}': 1.0}}"
                + (", or a model that holds it beside " + ", ".join(seen) if seen else ""),
            )
        if isinstance(self.model, PriceHistory):
            S = self.model.returns([*seen, name], missing="drop").cov()
            law = FactorCovariance(
                factors=tuple(Factor("spot", u) for u in S.index), matrix=S.to_numpy(), horizon_days=1.0
            )
        else:
            law = self.model
        column = position_of(law.factors, name)
        return {u: float(law.conditional({v: float(v == u) for v in seen}).expected[column]) for u in seen}

    def _vol(self, name: str, spot: float) -> tuple[float, str]:
        """Return the log move of vol and in words where it comes from."""
        if name in self.vol_moves:
            relative = self.vol_moves[name]
            if not -1.0 < relative < math.inf:
                raise ParameterError(
                    f"vol move of {name} is {relative!r}",
                    "a decimal above -1",
                    "write 0.5 for up by half",
                )
            known = name in self.law.underlyings
            tail = "" if known else f"; its basis is not moved, {self.law.id} says nothing of it"
            return math.log1p(relative), f"{name}: vol {relative:+.1%}, given{tail}"
        if name not in self.law.underlyings:
            raise DataGapError(
                f"response set {self.law.id!r} says nothing of vol of {name}",
                f"one of {', '.join(self.law.underlyings)}",
                f"give vol_moves={{'{name}': 0.5}} (relative), or a response set that covers it",
            )
        own = self.law.of(name)
        move = own.vol_slope * spot
        beyond = spot < own.largest_fall
        return move, (
            f"{name}: vol {math.expm1(move):+.1%} and basis, assumed: expected response"
            + (
                f", beyond the largest fall of its sample, {math.expm1(own.largest_fall):.1%}"
                if beyond
                else ""
            )
        )
