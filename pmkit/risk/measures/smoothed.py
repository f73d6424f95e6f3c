"""VaR and ES of a distribution smoothed by a kernel."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pmkit.core.errors import ParameterError
from pmkit.core.types import FloatArray
from pmkit.risk.measures.sample import Estimate, effective_size
from pmkit.risk.tail import SAME, Tail

__all__ = ["KERNELS", "bandwidth_of", "smoothed"]

#: Kernels by name with the constant of the bandwidth that suits a distribution function of normal losses:
#: ``h = c s n^(-1/3)`` with ``c^3 = 4 sqrt(pi) rho / mu^2``, ``rho = 2 int u k(u) K(u) du`` and
#: ``mu`` the kernel's variance.
KERNELS = {
    "gaussian": 4.0 ** (1.0 / 3.0),
    "epanechnikov": (4.0 * math.sqrt(math.pi) * 9.0 / 35.0 * 25.0) ** (1.0 / 3.0),
}


def smoothed(tail: Tail, bandwidth: Any = "distribution", kernel: str = "gaussian") -> Estimate:
    """Return VaR and ES of the losses with a kernel of width ``bandwidth`` put on each of them.

    Parameters
    ----------
    tail : Tail
    bandwidth : {"distribution", "density"} or float
        Normal-reference rule for a distribution function (``n^-1/3``) or for a density (``n^-1/5``), or a
        positive number in the unit of the losses.
    kernel : {"gaussian", "epanechnikov"}

    Raises
    ------
    ParameterError
        Unknown kernel or rule, or a bandwidth that is not positive.

    Notes
    -----
    ``ES = sum w_i E[X_i; X_i > VaR] / (1 - level)`` with ``X_i = loss_i + h U``: exact for the smoothed
    distribution. Smoothing adds ``h^2 var(U)`` to the variance, so both figures lie above the empirical ones.
    """
    from scipy.optimize import brentq

    h, rule = bandwidth_of(tail, bandwidth, kernel)
    name = f"{kernel} kernel, bandwidth {rule}"
    settings: dict[str, float | str] = {"bandwidth": h, "kernel": kernel}
    if h == 0.0:
        return Estimate(
            name=name, var=tail.threshold, es=tail.es(), var_error=0.0, es_error=0.0,
            references=("azzalini1981",), settings=settings,
        )  # fmt: skip
    p = 1.0 - tail.level

    def gap(x: float) -> float:
        return float(np.add.reduce(tail.weight * _upper((x - tail.loss) / h, kernel)[0])) - p

    reach = 40.0 * h if kernel == "gaussian" else 1.001 * h
    low, high = float(tail.loss[-1]) - reach, float(tail.loss[0]) + reach
    var = float(brentq(gap, low, high, xtol=1e-13 * max(abs(low), abs(high)), rtol=1e-14))
    u = (var - tail.loss) / h
    above, mean_above, density = _upper(u, kernel)
    # E[(loss_i + h U - VaR)^+], whose mean is the numerator of ES - VaR
    excess = (tail.loss - var) * above + h * mean_above
    mean = float(np.add.reduce(tail.weight * excess))
    spread = math.sqrt(float(np.add.reduce(tail.weight * (excess - mean) ** 2)))
    size = effective_size(tail.weight)
    height = float(np.add.reduce(tail.weight * density)) / h
    return Estimate(
        name=name,
        var=var,
        es=var + mean / p,
        var_error=math.sqrt(p * tail.level / size) / height,
        es_error=spread / (p * math.sqrt(size)),
        references=("azzalini1981", "chen2005"),
        settings=settings,
    )


def bandwidth_of(tail: Tail, bandwidth: Any, kernel: str) -> tuple[float, str]:
    """Return the bandwidth in the unit of the losses and the name of its rule; 0 where losses do not vary."""
    if kernel not in KERNELS:
        raise ParameterError(f"kernel is {kernel!r}", f"one of {', '.join(KERNELS)}", "correct the name")
    if isinstance(bandwidth, (int, float)) and not isinstance(bandwidth, bool):
        if not 0.0 < bandwidth < math.inf:
            raise ParameterError(
                f"bandwidth is {bandwidth!r}", "a positive number in the unit of the P&L", "correct it"
            )
        return float(bandwidth), "as given"
    if bandwidth not in ("distribution", "density"):
        raise ParameterError(
            f"bandwidth is {bandwidth!r}", "'distribution', 'density' or a positive number", "correct it"
        )
    mean = float(np.add.reduce(tail.weight * tail.loss))
    spread = math.sqrt(float(np.add.reduce(tail.weight * (tail.loss - mean) ** 2)))
    above = np.cumsum(tail.weight)
    upper, lower = (
        tail.loss[min(int(np.searchsorted(above, q - SAME)), above.size - 1)] for q in (0.25, 0.75)
    )
    middle = float(upper - lower) / 1.3489795
    scale = min(spread, middle) if middle > 0.0 else spread
    size = effective_size(tail.weight)
    if bandwidth == "density":
        # the kernels are compared at equal variance
        width = 1.0 if kernel == "gaussian" else math.sqrt(5.0)
        return 1.06 * width * scale * size ** (-0.2), "1.06 s n^(-1/5)"
    return KERNELS[kernel] * scale * size ** (-1.0 / 3.0), f"{KERNELS[kernel]:.3f} s n^(-1/3)"


def _upper(u: FloatArray, kernel: str) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return ``P(U > u)``, ``E[U; U > u]`` and the density at ``u``."""
    if kernel == "gaussian":
        from scipy.special import ndtr

        density = np.exp(-0.5 * u * u) / math.sqrt(2.0 * math.pi)
        return ndtr(-u), density, density
    inside = np.clip(u, -1.0, 1.0)
    square = inside * inside
    return (
        0.5 - 0.75 * inside + 0.25 * inside * square,
        3.0 / 16.0 * (1.0 - square) ** 2,
        0.75 * (1.0 - square),
    )
