"""Correlated diffusions with jumps: cumulants in closed form, and daily paths from given draws."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from pmkit.core.errors import ConventionError, ParameterError
from pmkit.core.provenance import fingerprint
from pmkit.core.random import stream
from pmkit.core.types import FloatArray
from pmkit.estimation.matrices.correlation_checks import checked_matrix
from pmkit.scenarios.montecarlo.jump_laws import JumpLaw
from pmkit.scenarios.montecarlo.sampler import across_days, pivoted_root

__all__ = ["JumpDiffusion"]

_YEAR = 365.0


@dataclass(frozen=True, kw_only=True)
class JumpDiffusion:
    """Correlated diffusions of several underlyings whose jumps come together or on their own.

    Attributes
    ----------
    margins : mapping of str to MertonJumps or KouJumps
    correlation : DataFrame, optional
        Of the diffusions and, as a normal copula, of the sizes of simultaneous jumps; labelled by underlying.
        Independent where None.
    common : bool
        Whether all jump at the same instants, which needs equal intensities.
    drift : {"mean_zero", "martingale"}
        Mean of the log move: 0, as in every other method here, or such that the mean of the price is today's.

    Raises
    ------
    ParameterError
        No margin, an unknown drift, or a correlation that is none.
    ConventionError
        Common jumps of unequal intensity, or a correlation without one of the underlyings.

    References
    ----------
    Merton (1976); Kou (2002).

    Examples
    --------
    >>> from pmkit.scenarios import MertonJumps
    >>> law = JumpDiffusion(margins={"BTC": MertonJumps(volatility=0.5, intensity=12.0, mean=-0.05, sd=0.08)})
    >>> law.cumulants("BTC", 10.0).round(8).tolist()
    [0.0, 0.00977534, -0.00035671, 7.402e-05]
    """

    margins: Mapping[str, JumpLaw]
    correlation: pd.DataFrame | None = None
    common: bool = True
    drift: Literal["mean_zero", "martingale"] = "mean_zero"
    _matrix: FloatArray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        names = list(self.margins)
        if not names or self.drift not in ("mean_zero", "martingale"):
            raise ParameterError(
                f"{len(names)} margins, drift {self.drift!r}",
                "at least one, 'mean_zero' or 'martingale'",
                "correct them",
            )
        rates = {self.margins[n].intensity for n in names}
        if self.common and len(rates) > 1:
            raise ConventionError(
                f"common jumps with intensities {sorted(rates)}",
                "one intensity",
                "equalise them, or pass common=False",
            )
        R = np.eye(len(names))
        if self.correlation is not None:
            known = set(self.correlation.index) & set(self.correlation.columns)
            absent = [n for n in names if n not in known]
            if absent:
                raise ConventionError(
                    f"the correlation has no {', '.join(absent)}", "one row an underlying", "label it"
                )
            R, _ = checked_matrix(self.correlation.loc[names, names], "correlation")
            least = float(np.linalg.eigvalsh(R)[0])
            if least < -1e-10 * len(R):
                raise ParameterError(
                    f"the correlation has the eigenvalue {least:.3g}",
                    "a positive semidefinite matrix",
                    "repair it with pmkit.estimation.nearest_correlation",
                )
        object.__setattr__(self, "_matrix", R)

    @property
    def names(self) -> tuple[str, ...]:
        """The underlyings."""
        return tuple(self.margins)

    @property
    def words(self) -> str:
        """The law in words."""
        kinds = ", ".join(f"{n} {type(m).__name__}" for n, m in self.margins.items())
        return f"jump-diffusion ({kinds}; jumps {'together' if self.common else 'each on its own'})"

    @property
    def fingerprint(self) -> str:
        """Fingerprint of every parameter."""
        return fingerprint(
            [repr(m) for m in self.margins.values()],
            list(self.margins),
            self._matrix,
            self.common,
            self.drift,
        )

    @property
    def references(self) -> tuple[str, ...]:
        """Keys of the bibliography."""
        return tuple(dict.fromkeys(key for law in self.margins.values() for key in law.references))

    @property
    def bridge_correlation(self) -> float:
        """Mean correlation of the diffusions, not below 0."""
        above = self._matrix[np.triu_indices(len(self._matrix), 1)]
        return max(float(np.add.reduce(above)) / above.size, 0.0) if above.size else 0.0

    @property
    def n_independent(self) -> float:
        """Infinite: parameters are given, not estimated here."""
        return math.inf

    def cumulants(self, name: str, days: float) -> FloatArray:
        """Return the first four cumulants of the log move over ``days``, shape (4,).

        Notes
        -----
        ``kappa_n = t intensity E[J^n]``, plus ``t volatility^2`` for n = 2; the mean by ``drift``.
        """
        law, t = self.margins[name], days / _YEAR
        values = np.array([t * law.intensity * law.moment(n) for n in (1, 2, 3, 4)])
        values[1] += t * law.volatility**2
        values[0] += t * self._log_drift(law)
        return np.asarray(values)

    def _log_drift(self, law: JumpLaw) -> float:
        """Return the drift of the log price between jumps, a year."""
        if self.drift == "martingale":
            return -0.5 * law.volatility**2 - law.intensity * law.growth()
        return -law.intensity * law.moment(1)

    def dimensions(self, days: int) -> tuple[int, int]:
        """Return how many normal and uniform draws a path takes."""
        n = len(self.margins)
        return 2 * n * days, (1 if self.common else n) * days

    def paths(
        self, z: FloatArray, u: FloatArray, days: int, seed: int
    ) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
        """Return daily log moves and the diffusion's daily volatility by underlying, (paths, days) each.

        Notes
        -----
        The count of a day is the Poisson quantile of its uniform draw. Further double exponential jumps on
        one day are rare and come from a stream of their own.
        """
        n, rows = len(self.margins), len(z)
        root = pivoted_root(self._matrix)
        diffusion = _coloured(across_days(z[:, : n * days], days), root)
        size = _coloured(across_days(z[:, n * days :], days), root)
        shared = u.reshape(rows, days, -1)
        daily, sigma = {}, {}
        for i, (name, law) in enumerate(self.margins.items()):
            rate = law.intensity / _YEAR
            most = _most_jumps(rate)
            counts = _poisson(shared[:, :, 0 if self.common else i], rate, most)
            more = stream(seed, "further jumps", name).random((rows, days, max(most - 1, 0)))
            jumps = law.sizes(counts, size[:, :, i], more)
            step = law.volatility / math.sqrt(_YEAR)
            daily[name] = self._log_drift(law) / _YEAR + step * diffusion[:, :, i] + jumps
            sigma[name] = np.full((rows, days), step)
        return daily, sigma


def _coloured(z: FloatArray, root: FloatArray) -> FloatArray:
    """Return ``root z`` for each path and day, summed in a fixed order."""
    out = np.zeros_like(z)
    for k in range(root.shape[1]):
        out += z[:, :, k, None] * root[None, None, :, k]
    return out


def _most_jumps(rate: float) -> int:
    """Return a count that a day exceeds with a probability below 1e-12."""
    share = term = math.exp(-rate)
    k = 0
    while 1.0 - share > 1e-12 and k < 1000:
        k += 1
        term *= rate / k
        share += term
    return k


def _poisson(u: FloatArray, rate: float, most: int) -> FloatArray:
    """Return Poisson quantiles by counting the steps of the distribution below ``u``."""
    counts = np.zeros_like(u)
    share = term = math.exp(-rate)
    for k in range(1, most + 1):
        counts += u > share
        term *= rate / k
        share += term
    return counts
