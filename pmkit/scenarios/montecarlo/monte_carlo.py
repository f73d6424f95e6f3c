"""Monte Carlo scenarios of any law, from Sobol points or a pseudo-random stream."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

from pmkit.core.errors import ConventionError, DataGapError, ParameterError
from pmkit.core.provenance import Provenance
from pmkit.core.types import Dynamics, FloatArray
from pmkit.market.snapshot import MarketSnapshot
from pmkit.scenarios.draws import Expiries, factor_moves
from pmkit.scenarios.factor_covariance import FactorCovariance
from pmkit.scenarios.historical import BRIDGE_NOTE
from pmkit.scenarios.montecarlo.sampler import Sampler, SamplerKind
from pmkit.scenarios.montecarlo.student import StudentLaw
from pmkit.scenarios.response import DEFAULT_RESPONSE, FactorResponse, factor_response
from pmkit.scenarios.scenario_set import ScenarioSet

__all__ = ["PathLaw", "monte_carlo"]


class PathLaw(Protocol):
    """A law of daily spot moves: :class:`JumpDiffusion`, :class:`GarchPaths`, or one of the caller's."""

    @property
    def names(self) -> tuple[str, ...]:
        """The underlyings."""
        ...

    @property
    def words(self) -> str:
        """The law in words."""
        ...

    @property
    def fingerprint(self) -> str:
        """Fingerprint of every parameter."""
        ...

    @property
    def references(self) -> tuple[str, ...]:
        """Keys of the bibliography."""
        ...

    @property
    def bridge_correlation(self) -> float:
        """Correlation of two underlyings between closes, from 0 to 1."""
        ...

    @property
    def n_independent(self) -> float:
        """Days of history behind the law; infinite where it was given."""
        ...

    def dimensions(self, days: int) -> tuple[int, int]:
        """Return how many normal and uniform draws a path takes."""
        ...

    def paths(
        self, z: FloatArray, u: FloatArray, days: int, seed: int
    ) -> tuple[Mapping[str, FloatArray], Mapping[str, FloatArray]]:
        """Return daily log moves and volatilities by underlying, (paths, days) each."""
        ...


def monte_carlo(
    law: FactorCovariance | StudentLaw | PathLaw,
    snapshot: MarketSnapshot,
    *,
    n_paths: int = 16_384,
    horizon: int | None = None,
    sampler: SamplerKind = "sobol",
    antithetic: bool = True,
    dynamics: Dynamics = "sticky_moneyness",
    response: FactorResponse | str = DEFAULT_RESPONSE,
    expiries: Expiries | None = None,
    seed: int = 20260801,
    replicate: int = 0,
) -> ScenarioSet:
    """Return simulated scenarios of spot, vol, basis and fixings over a horizon, in logs.

    Parameters
    ----------
    law : FactorCovariance, StudentLaw, JumpDiffusion, GarchPaths or any PathLaw
        A covariance gives joint normal moves of all its factors. A law of paths gives daily spot; vol, basis
        and fixings follow by ``response``.
    snapshot : MarketSnapshot
    n_paths : int
        A power of two with Sobol points; even where antithetic.
    horizon : int, optional
        Days of a law of paths, 2 where None; a covariance has its own.
    sampler : {"sobol", "pseudo"}
        Scrambled Sobol points, or a pseudo-random stream.
    antithetic : bool
        Rows 2i and 2i + 1 have spot noise of opposite sign (all factors under a covariance).
    dynamics : {"sticky_moneyness", "sticky_strike", "sticky_delta"}
    response, expiries
        As for :func:`historical`; for laws of paths.
    seed : int
    replicate : int
        Independent scrambles under one seed, 0 or more: their spread is the simulation error.

    Returns
    -------
    ScenarioSet
        ``n_paths`` equally weighted rows. The first rows do not depend on ``n_paths``.

    Raises
    ------
    ParameterError
        Counts or words out of range; a number of Sobol paths that is no power of two.
    ConventionError
        ``horizon``, ``expiries`` or ``response`` beside a covariance, or something that is no law.
    DataGapError
        An underlying of the law that the snapshot or the response set lacks.

    Notes
    -----
    Points become normal draws by their inverse; Sobol's first dimensions drive mixing variables and the sum
    over days. Scrambled Sobol points keep every figure unbiased, and the error of a smooth one falls nearly
    like 1/n instead of 1/sqrt(n); for the tail of a kinked book the gain is smaller: see :func:`convergence`.
    Residuals of vol and basis in laws of paths are pseudo-random.

    References
    ----------
    Owen (1997); Matoušek (1998), the scrambling; Joe and Kuo (2008); Glasserman (2003), sections 4.2 and 5.4.

    Examples
    --------
    >>> from pmkit.scenarios import MertonJumps, JumpDiffusion
    >>> snap = MarketSnapshot.from_marks("2026-08-01T00:00:00Z", {"BTC": 50_000.0})
    >>> law = JumpDiffusion(margins={"BTC": MertonJumps(volatility=0.5, intensity=12.0, mean=-0.05, sd=0.08)})
    >>> scen = monte_carlo(law, snap, horizon=10)
    >>> [round(float(x), 3) for x in (scen.column("spot", "BTC").std(), law.cumulants("BTC", 10.0)[1] ** 0.5)]
    [0.099, 0.099]
    """
    points = Sampler(n_paths=n_paths, kind=sampler, antithetic=antithetic, seed=seed, replicate=replicate)
    if isinstance(law, FactorCovariance):
        law = StudentLaw(law)
    if isinstance(law, StudentLaw):
        if horizon is not None or expiries is not None or response != DEFAULT_RESPONSE:
            raise ConventionError(
                "horizon, expiries or response beside a covariance, which has its own",
                "one of the two",
                "leave them out, or build the covariance with them",
            )
        return _joint(law, snapshot, points, dynamics)
    if not all(hasattr(law, word) for word in ("names", "dimensions", "paths")):
        raise ConventionError(
            f"a law of type {type(law).__name__}",
            "a FactorCovariance, StudentLaw, JumpDiffusion, GarchPaths or other PathLaw",
            "build one of these",
        )
    days = 2 if horizon is None else horizon
    if isinstance(days, bool) or not isinstance(days, int) or days < 1:
        raise ParameterError(f"horizon is {days!r}", "a whole number of days, 1 or more", "correct it")
    for name in law.names:
        snapshot.market(name)
    own = factor_response(response) if isinstance(response, str) else response
    seed_beside = points.stream_seed()
    z, u = points.draw(*law.dimensions(days))
    daily, sigma = law.paths(z, u, days, seed_beside)
    factors, shocks = factor_moves(
        daily,
        sigma,
        snapshot,
        own,
        seed_beside,
        expiries=expiries,
        bridge_correlation=min(law.bridge_correlation, 1.0),
    )
    return ScenarioSet(
        name="Monte Carlo",
        factors=factors,
        shocks=shocks,
        horizon_days=float(days),
        dynamics=dynamics,
        vol_term=own.vol_term,
        n_independent=law.n_independent / days,
        provenance=_record(
            points,
            {"law": law.fingerprint, "snapshot": snapshot.fingerprint, "response": own.fingerprint},
            {"law": law.words, "horizon": days, "dynamics": dynamics, "response": own.id},
        ),
        notes=(
            f"simulated: {law.words}; {points.words}",
            own.note(snapshot.as_of),
            BRIDGE_NOTE.format("that of the path"),
        ),
        references=(*law.references, *points.references),
    )


def _joint(law: StudentLaw, snapshot: MarketSnapshot, points: Sampler, dynamics: Dynamics) -> ScenarioSet:
    """Return scenarios of a covariance of all factors."""
    C = law.covariance
    for factor in C.factors:
        if factor.kind not in ("rate", "fx"):
            snapshot.market(factor.underlying)
    spots = [f for f in C.factors if f.kind == "spot"]
    if not spots:
        raise DataGapError("the covariance holds no spot", "a spot factor", "add one")
    return ScenarioSet(
        name="Monte Carlo",
        factors=C.factors,
        shocks=law.shocks(points),
        horizon_days=C.horizon_days,
        dynamics=dynamics,
        vol_term=C.vol_term,
        n_independent=C.n_independent,
        provenance=_record(
            points,
            {"law": C.fingerprint, "snapshot": snapshot.fingerprint, "source": C.provenance.id},
            {"law": law.words, "nu": law.nu if math.isfinite(law.nu) else None, "dynamics": dynamics},
        ),
        notes=(f"simulated: {law.words} with the covariance of all factors; {points.words}", *C.notes),
        references=points.references,
    )


def _record(points: Sampler, data: Mapping[str, str], parameters: Mapping[str, Any]) -> Provenance:
    return Provenance(
        method="scenarios.monte_carlo",
        data=data,
        parameters={
            **parameters,
            "n_paths": int(points.n_paths),
            "sampler": points.kind,
            "antithetic": points.antithetic,
            "replicate": points.replicate,
        },
        seed=points.seed,
        simulated=True,
    )
