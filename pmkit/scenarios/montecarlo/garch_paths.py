"""Paths of fitted volatility models under dynamic correlation or a copula, from given normal draws."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pmkit.core.errors import ConventionError, ParameterError
from pmkit.core.provenance import fingerprint
from pmkit.core.types import FloatArray
from pmkit.estimation import Copula, CorrelationModel, VolatilityModel
from pmkit.scenarios.montecarlo.sampler import across_days, pivoted_root
from pmkit.scenarios.montecarlo.student import check_nu, mixing

__all__ = ["GarchPaths"]

_YEAR = 365.0


@dataclass(frozen=True, kw_only=True)
class GarchPaths:
    """Volatility models of several underlyings, joined by a correlation model or a copula of residuals.

    Attributes
    ----------
    models : mapping of str to VolatilityModel
        Over the same dates.
    dependence : CorrelationModel, Copula or None
        Of their residuals: its correlation moves along each path, or its joint law with fitted margins is
        drawn anew each day. None only for one underlying.
    nu : float
        Degrees of freedom of the innovations, above 2; infinite for normal ones. Not with a copula, which has
        its own.
    levels : mapping of str to float, optional
        Annual volatility of the first day, decimal; what the filter reached where None.

    Raises
    ------
    ConventionError
        Other labels or dates in the dependence than in the models, none for several models, a copula without
        margins, or ``nu`` beside a copula.
    ParameterError
        No model, ``nu`` of 2 or less, or a level that is not positive or looks like percent.

    References
    ----------
    Engle (2002); Glosten, Jagannathan and Runkle (1993).
    """

    models: Mapping[str, VolatilityModel]
    dependence: CorrelationModel | Copula | None = None
    nu: float = math.inf
    levels: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        check_nu(self.nu)
        names = list(self.models)
        if not names:
            raise ParameterError("no volatility model", "one an underlying", "fit one with fit_volatility")
        first = self.models[names[0]].returns.index
        odd = next((n for n in names if not self.models[n].returns.index.equals(first)), None)
        if odd is not None:
            raise ConventionError(
                f"the models of {names[0]} and {odd} cover different dates",
                "the same dates",
                "fit all models on the same history",
            )
        if self.dependence is None:
            if len(names) > 1:
                raise ConventionError(
                    f"{len(names)} models without dependence",
                    "a CorrelationModel or a Copula of their residuals",
                    "fit one with fit_correlation or fit_copula",
                )
        else:
            labels = [str(x) for x in self._labels()]
            if sorted(labels) != sorted(names):
                raise ConventionError(
                    f"the dependence covers {', '.join(labels)}",
                    f"exactly {', '.join(names)}",
                    "fit it again",
                )
        if isinstance(self.dependence, Copula) and (not self.dependence.margins or math.isfinite(self.nu)):
            raise ConventionError(
                "a copula without margins, or beside nu",
                "a copula with margins and nothing else",
                "fit it with margins=True, and leave nu out",
            )
        for name, level in (self.levels or {}).items():
            if name not in names or not 0.0 < float(level) <= 5.0:
                raise ParameterError(
                    f"level of {name} is {level!r}",
                    f"a decimal such as 0.45 for one of {', '.join(names)}",
                    "correct it",
                )

    @property
    def names(self) -> tuple[str, ...]:
        """The underlyings."""
        return tuple(self.models)

    @property
    def words(self) -> str:
        """The law in words."""
        kinds = ", ".join(f"{n} {m.model}" for n, m in self.models.items())
        if isinstance(self.dependence, Copula):
            return f"{kinds}; residuals from a {self.dependence.family} copula with Pareto tails"
        tails = "normal" if math.isinf(self.nu) else f"t({self.nu:g})"
        joined = "" if self.dependence is None else f"; {self.dependence.model} correlation"
        return f"{kinds}{joined}; {tails} innovations"

    @property
    def fingerprint(self) -> str:
        """Fingerprint of models, dependence, innovations and levels."""
        joint = "none" if self.dependence is None else self.dependence.provenance.id
        own = [m.provenance.id for m in self.models.values()]
        return fingerprint(list(self.models), own, joint, str(self.nu), dict(self.levels or {}))

    @property
    def references(self) -> tuple[str, ...]:
        """Keys of the bibliography: of the models and of their dependence."""
        parts = [*self.models.values(), *([] if self.dependence is None else [self.dependence])]
        return tuple(dict.fromkeys(key for part in parts for key in part.references))

    @property
    def bridge_correlation(self) -> float:
        """Mean correlation of the next day, not below 0."""
        if self.dependence is None:
            return 0.0
        R = (
            self.dependence.next_correlation
            if isinstance(self.dependence, CorrelationModel)
            else self.dependence.correlation
        ).to_numpy()
        above = R[np.triu_indices(len(R), 1)]
        return max(float(np.add.reduce(above)) / above.size, 0.0)

    @property
    def n_independent(self) -> float:
        """Days behind the models."""
        return float(len(self.models[self.names[0]].returns))

    def _labels(self) -> list[object]:
        if isinstance(self.dependence, CorrelationModel):
            return list(self.dependence.names)
        return [] if self.dependence is None else list(self.dependence.correlation.index)

    def dimensions(self, days: int) -> tuple[int, int]:
        """Return how many normal and uniform draws a path takes."""
        nu = self.dependence.nu if isinstance(self.dependence, Copula) else self.nu
        return len(self.models) * days, 0 if math.isinf(nu) else days

    def paths(
        self, z: FloatArray, u: FloatArray, days: int, seed: int
    ) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
        """Return daily log moves without drift and volatilities by underlying, (paths, days) each."""
        residuals = self._residuals(across_days(z, days), u)
        daily, sigma = {}, {}
        for name, model in self.models.items():
            level = None if self.levels is None else self.levels.get(name)
            start = None if level is None else float(level) / math.sqrt(_YEAR)
            daily[name], sigma[name] = model.simulate(residuals[name], start, drift=False)
        return daily, sigma

    def _residuals(self, z: FloatArray, u: FloatArray) -> dict[str, FloatArray]:
        """Return standardised residuals by underlying, shape (paths, days)."""
        if isinstance(self.dependence, Copula):
            return self._copula_residuals(self.dependence, z, u)
        if not math.isinf(self.nu):
            z = z * mixing(u, self.nu)[:, :, None]
        if self.dependence is None:
            return {self.names[0]: z[:, :, 0]}
        joint = self.dependence.simulate(z.shape[1], draws=z)
        return {str(n): joint[:, :, i] for i, n in enumerate(self._labels())}

    def _copula_residuals(self, copula: Copula, z: FloatArray, u: FloatArray) -> dict[str, FloatArray]:
        from scipy.special import chdtri, ndtr, stdtr

        root = pivoted_root(copula.correlation.to_numpy(dtype=np.float64))
        joint = np.zeros_like(z)
        for k in range(root.shape[1]):
            joint += z[:, :, k, None] * root[None, None, :, k]
        if math.isinf(copula.nu):
            p = ndtr(joint)
        else:
            p = stdtr(copula.nu, joint * np.sqrt(copula.nu / chdtri(copula.nu, 1.0 - u))[:, :, None])
        tiny = np.finfo(np.float64).eps
        p = np.clip(p, tiny, 1.0 - tiny)
        out = {}
        for i, label in enumerate(self._labels()):
            own = copula.margins[str(label)].quantile(np.ascontiguousarray(p[:, :, i]).ravel())
            out[str(label)] = np.asarray(own, dtype=np.float64).reshape(p.shape[:2])
        return out
