"""What one asset's jumps look like: normal log sizes after Merton, double exponential ones after Kou."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pmkit.core.errors import ConventionError, ParameterError
from pmkit.core.types import FloatArray

__all__ = ["JumpLaw", "KouJumps", "MertonJumps"]

#: an annual volatility beyond this is a slip of unit
_LARGEST_VOLATILITY = 10.0


class JumpLaw(Protocol):
    """Volatility and jumps of one asset."""

    @property
    def volatility(self) -> float:
        """Of the diffusion, decimal a year."""
        ...

    @property
    def intensity(self) -> float:
        """Jumps expected a year."""
        ...

    @property
    def references(self) -> tuple[str, ...]:
        """Keys of the bibliography."""
        ...

    def moment(self, order: int) -> float:
        """Return the raw moment of one jump's log size."""
        ...

    def growth(self) -> float:
        """Return the expected relative price change of one jump."""
        ...

    def sizes(self, counts: FloatArray, z: FloatArray, more: FloatArray) -> FloatArray:
        """Return the summed log size of ``counts`` jumps, from normal draws."""
        ...


@dataclass(frozen=True, kw_only=True)
class MertonJumps:
    """Jumps with normal log sizes.

    Attributes
    ----------
    volatility : float
        Of the diffusion, decimal a year, 0 or more.
    intensity : float
        Jumps expected a year, 0 or more.
    mean, sd : float
        Of the log size of one jump.

    Raises
    ------
    ParameterError
        A number that is not finite or below its range.
    ConventionError
        A volatility in percent.

    References
    ----------
    Merton (1976).
    """

    volatility: float
    intensity: float
    mean: float
    sd: float

    def __post_init__(self) -> None:
        _check(self, volatility=0.0, intensity=0.0, mean=-math.inf, sd=0.0)

    @property
    def references(self) -> tuple[str, ...]:
        """Keys of the bibliography."""
        return ("merton1976",)

    def moment(self, order: int) -> float:
        """Return the raw moment of one jump's log size, order 1 to 4."""
        m, s = self.mean, self.sd
        values = (m, m * m + s * s, m**3 + 3.0 * m * s * s, m**4 + 6.0 * m * m * s * s + 3.0 * s**4)
        return values[order - 1]

    def growth(self) -> float:
        """Return the expected relative price change of one jump."""
        return math.expm1(self.mean + 0.5 * self.sd * self.sd)

    def sizes(self, counts: FloatArray, z: FloatArray, more: FloatArray) -> FloatArray:
        """Return the summed log size of ``counts`` jumps: normal, so one draw does for all of them."""
        return np.asarray(counts * self.mean + np.sqrt(counts) * self.sd * z)


@dataclass(frozen=True, kw_only=True)
class KouJumps:
    """Jumps with double exponential log sizes: more small and more huge ones than the normal law.

    Attributes
    ----------
    volatility, intensity : float
        As for :class:`MertonJumps`.
    up_share : float
        Probability that a jump is upwards, from 0 to 1.
    up_mean, down_mean : float
        Mean log size of a jump up, below 1, and down, both positive.

    Raises
    ------
    ParameterError
        A number that is not finite or outside its range.
    ConventionError
        A volatility in percent.

    References
    ----------
    Kou (2002).
    """

    volatility: float
    intensity: float
    up_share: float
    up_mean: float
    down_mean: float

    def __post_init__(self) -> None:
        _check(self, volatility=0.0, intensity=0.0, up_share=0.0, up_mean=0.0, down_mean=0.0)
        if self.up_share > 1.0 or not 0.0 < self.up_mean < 1.0 or not self.down_mean > 0.0:
            raise ParameterError(
                f"up_share {self.up_share:g}, up_mean {self.up_mean:g}, down_mean {self.down_mean:g}",
                "a share of at most 1, an upward mean between 0 and 1, a downward one above 0",
                "correct them",
            )

    @property
    def references(self) -> tuple[str, ...]:
        """Keys of the bibliography."""
        return ("kou2002",)

    def moment(self, order: int) -> float:
        """Return the raw moment of one jump's log size."""
        up, down = self.up_share * self.up_mean**order, (1.0 - self.up_share) * self.down_mean**order
        return math.factorial(order) * (up + (-1.0) ** order * down)

    def growth(self) -> float:
        """Return the expected relative price change of one jump."""
        return self.up_share / (1.0 - self.up_mean) + (1.0 - self.up_share) / (1.0 + self.down_mean) - 1.0

    def sizes(self, counts: FloatArray, z: FloatArray, more: FloatArray) -> FloatArray:
        """Return the summed log size: the first jump by the quantile of ``z``, further ones by ``more``."""
        from scipy.special import ndtr

        total = np.where(counts > 0.0, self._quantile(ndtr(z), ndtr(-z)), 0.0)
        for k in range(more.shape[-1]):
            total = total + np.where(counts > k + 1.0, self._quantile(more[..., k], 1.0 - more[..., k]), 0.0)
        return np.asarray(total)

    def _quantile(self, u: FloatArray, v: FloatArray) -> FloatArray:
        """Return the log size of one jump at probability ``u = 1 - v``."""
        down, up = 1.0 - self.up_share, self.up_share
        with np.errstate(divide="ignore", invalid="ignore"):
            below = self.down_mean * np.log(np.maximum(u, 1e-300) / down) if down > 0.0 else np.zeros_like(u)
            above = -self.up_mean * np.log(np.maximum(v, 1e-300) / up) if up > 0.0 else np.zeros_like(u)
        return np.asarray(np.where(u < down, below, above))


def _check(law: object, **least: float) -> None:
    for word, low in least.items():
        value = getattr(law, word)
        if (
            isinstance(value, bool)
            or not isinstance(value, (int, float))
            or not math.isfinite(value)
            or value < low
        ):
            raise ParameterError(
                f"{word} of {type(law).__name__} is {value!r}",
                f"a finite number{'' if math.isinf(low) else f', {low:g} or more'}",
                "correct it",
            )
        if word == "volatility" and value > _LARGEST_VOLATILITY:
            raise ConventionError(
                f"volatility of {type(law).__name__} is {value:g}: looks like percent",
                "an annualised decimal such as 0.6",
                "divide by 100",
            )
