"""All factors jointly normal or Student t, with the covariance of a horizon."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pmkit.core.errors import ParameterError
from pmkit.core.types import FloatArray
from pmkit.scenarios.factor_covariance import FactorCovariance, check_sizes
from pmkit.scenarios.montecarlo.sampler import Sampler, pivoted_root

__all__ = ["StudentLaw", "mixing"]


@dataclass(frozen=True)
class StudentLaw:
    """A multivariate t law of all factors over the horizon of a covariance, which it keeps.

    Attributes
    ----------
    covariance : FactorCovariance
        Of the moves themselves: heavier tails do not make them larger.
    nu : float
        Degrees of freedom, above 2; infinite for the normal law.

    Raises
    ------
    ParameterError
        ``nu`` of 2 or less.
    ConventionError
        What is no covariance, or one in percent.
    """

    covariance: FactorCovariance
    nu: float = math.inf

    def __post_init__(self) -> None:
        check_nu(self.nu)
        check_sizes(self.covariance)

    @property
    def words(self) -> str:
        """The law in words."""
        return "normal" if math.isinf(self.nu) else f"Student t, {self.nu:g} degrees of freedom"

    def shocks(self, sampler: Sampler) -> FloatArray:
        """Return the moves of all factors, shape (paths, factors).

        Notes
        -----
        ``x = L z sqrt((nu - 2)/W)`` with W chi-squared: one draw for all factors, so they are extreme
        together.
        """
        root = pivoted_root(self.covariance.matrix)
        n = root.shape[1]
        heavy = not math.isinf(self.nu)
        z, u = sampler.draw(n, int(heavy))
        out = np.zeros_like(z)
        for k in range(n):
            out += z[:, k, None] * root[None, :, k]
        return out * mixing(u[:, 0], self.nu)[:, None] if heavy else out


def mixing(u: FloatArray, nu: float) -> FloatArray:
    """Return ``sqrt((nu - 2)/W)``, W chi-squared at ``u``: it makes normal draws t of variance 1."""
    from scipy.special import chdtri

    return np.asarray(np.sqrt((nu - 2.0) / chdtri(nu, 1.0 - u)), dtype=np.float64)


def check_nu(nu: float) -> None:
    """Raise ParameterError where the degrees of freedom leave no variance."""
    if isinstance(nu, bool) or not isinstance(nu, (int, float)) or not nu > 2.0:
        raise ParameterError(
            f"nu is {nu!r}", "degrees of freedom above 2, or infinity", "4 to 8 fits daily returns"
        )
