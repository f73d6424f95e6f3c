"""VaR and ES from four moments by the Cornish–Fisher expansion, with its domain of validity."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from pmkit.core.errors import ParameterError
from pmkit.core.types import FloatArray
from pmkit.risk.measures.sample import Estimate, effective_size
from pmkit.risk.tail import Tail

__all__ = ["cornish_fisher", "expansion_is_increasing", "expansion_moments", "matched_parameters"]

#: nodes at which the moments of a cubic are exact up to the tenth power
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(16)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


def expansion_is_increasing(skew: float, excess_kurtosis: float) -> bool:
    """Return whether the expansion is an increasing function, so that it is a quantile function.

    Parameters
    ----------
    skew, excess_kurtosis : float
        The parameters S and K of the expansion.

    Notes
    -----
    The derivative ``1 + S z/3 + K (z^2 - 1)/8 - S^2 (6 z^2 - 5)/36`` must not be negative for any z:
    ``S^2/9 <= 4 (K/8 - S^2/6)(1 - K/8 + 5 S^2/36)``, hence ``|S| <= 6 (sqrt(2) - 1)``.

    References
    ----------
    Maillard (2012), section 3.

    Examples
    --------
    >>> expansion_is_increasing(0.0, 3.0), expansion_is_increasing(1.0, 1.0)
    (True, False)
    """
    square, constant = (
        excess_kurtosis / 8.0 - skew**2 / 6.0,
        1.0 - excess_kurtosis / 8.0 + 5.0 * skew**2 / 36.0,
    )
    return square >= 0.0 and constant >= 0.0 and skew**2 / 9.0 <= 4.0 * square * constant


def expansion_moments(skew: float, excess_kurtosis: float) -> tuple[float, float, float]:
    """Return standard deviation, skewness and excess kurtosis that the expansion itself has.

    They differ from its parameters: by Gauss–Hermite quadrature, exact for a cubic of a normal variable.

    Examples
    --------
    >>> [round(x, 4) for x in expansion_moments(0.5, 2.0)]
    [1.0144, 0.7166, 3.6315]
    """
    y = _expansion(_NODES, skew, excess_kurtosis)
    second, third, fourth = (float(np.add.reduce(_WEIGHTS * y**k)) for k in (2, 3, 4))
    return math.sqrt(second), third / second**1.5, fourth / second**2 - 3.0


def matched_parameters(skew: float, excess_kurtosis: float) -> tuple[float, float, str]:
    """Return the parameters for which the expansion has the given skewness and excess kurtosis, and a status.

    Status ``ok``, ``not_converged``, or ``outside_domain`` where the expansion found is not increasing.

    References
    ----------
    Maillard (2012), section 4.

    Examples
    --------
    >>> S, K, status = matched_parameters(0.5, 2.0)
    >>> [round(x, 6) for x in expansion_moments(S, K)[1:]], status
    ([0.5, 2.0], 'ok')
    """
    from scipy.optimize import root

    def miss(x: FloatArray) -> list[float]:
        _, third, fourth = expansion_moments(float(x[0]), float(x[1]))
        return [third - skew, fourth - excess_kurtosis]

    # the expansion overshoots: it has more kurtosis than its parameter says
    found = root(miss, [0.8 * skew, 0.5 * excess_kurtosis], method="hybr", options={"xtol": 1e-12})
    s, k = float(found.x[0]), float(found.x[1])
    if float(np.abs(miss(found.x)).max()) > 1e-8 * (1.0 + abs(excess_kurtosis)):
        return s, k, "not_converged"
    return s, k, "ok" if expansion_is_increasing(s, k) else "outside_domain"


def cornish_fisher(tail: Tail, matched: bool = False) -> Estimate:
    """Return VaR and ES of the expansion with the moments of the losses.

    Parameters
    ----------
    tail : Tail
    matched : bool
        True: parameters for which the expansion has the sample's moments. False: the moments themselves as
        parameters, as is common; the expansion then has other moments.

    Raises
    ------
    ParameterError
        Fewer than four losses.

    Notes
    -----
    ``x(z) = z + (z^2-1) S/6 + (z^3-3z) K/24 - (2z^3-5z) S^2/36`` and ``VaR = m + s x(z)``. The mean of x over
    ``Z > z`` is ``phi(z)/p (1 + z S/6 + (z^2-1) K/24 - (2z^2-1) S^2/36)``. Errors by the delta method through
    the influence of each loss on the four moments.
    """
    if tail.loss.size < 4:
        raise ParameterError(
            f"{tail.loss.size} losses", "four or more for four moments", "take more scenarios"
        )
    name = "Cornish–Fisher, parameters matched to moments" if matched else "Cornish–Fisher"
    mean = float(np.add.reduce(tail.weight * tail.loss))
    y = tail.loss - mean
    moments = np.array([mean, *(float(np.add.reduce(tail.weight * y**k)) for k in (2, 3, 4))])
    if not moments[1] > 0.0:
        return Estimate(
            name=name, var=tail.threshold, es=tail.es(), var_error=0.0, es_error=0.0,
            references=("maillard2012",),
        )  # fmt: skip
    status, settings = "ok", {"skewness of the loss": 0.0, "excess kurtosis": 0.0, "S": 0.0, "K": 0.0}

    def figures(x: FloatArray) -> FloatArray:
        spread = math.sqrt(float(x[1]))
        skew, kurtosis = float(x[2]) / spread**3, float(x[3]) / spread**4 - 3.0
        s, k, _ = matched_parameters(skew, kurtosis) if matched else (skew, kurtosis, "")
        unit = spread / expansion_moments(s, k)[0] if matched else spread
        z, at = _normal_quantile(tail.level)
        shortfall = at / (1.0 - tail.level) * (
            1.0 + z * s / 6.0 + (z * z - 1.0) * k / 24.0 - (2.0 * z * z - 1.0) * s * s / 36.0
        )  # fmt: skip
        return float(x[0]) + unit * np.array([float(_expansion(np.array([z]), s, k)[0]), shortfall])

    spread = math.sqrt(float(moments[1]))
    skew, kurtosis = float(moments[2]) / spread**3, float(moments[3]) / spread**4 - 3.0
    if matched:
        s, k, status = matched_parameters(skew, kurtosis)
    else:
        s, k = skew, kurtosis
        status = "ok" if expansion_is_increasing(s, k) else "outside_domain"
    settings |= {"skewness of the loss": skew, "excess kurtosis": kurtosis, "S": s, "K": k}
    influence = np.vstack(
        [
            y,
            y**2 - moments[1],
            y**3 - moments[2] - 3.0 * moments[1] * y,
            y**4 - moments[3] - 4.0 * moments[2] * y,
        ]
    )
    errors = _delta_method(figures, moments, influence, tail.weight)
    var, es = figures(moments)
    return Estimate(
        name=name,
        var=float(var),
        es=float(es),
        var_error=errors[0],
        es_error=errors[1],
        references=("maillard2012",),
        status=status,
        settings=dict(settings),
    )


def _expansion(z: FloatArray, skew: float, kurtosis: float) -> FloatArray:
    value: FloatArray = (
        z
        + (z**2 - 1.0) * skew / 6.0
        + (z**3 - 3.0 * z) * kurtosis / 24.0
        - (2.0 * z**3 - 5.0 * z) * skew**2 / 36.0
    )
    return value


def _normal_quantile(level: float) -> tuple[float, float]:
    """Return the standard normal quantile and the density there."""
    from scipy.special import ndtri

    z = float(ndtri(level))
    return z, math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)


def _delta_method(
    figures: Callable[[FloatArray], FloatArray],
    moments: FloatArray,
    influence: FloatArray,
    weight: FloatArray,
) -> tuple[float, float]:
    """Return the errors of two figures of the moments from the influence of each loss on the moments."""
    total = np.zeros((2, influence.shape[1]))
    scale = math.sqrt(float(moments[1])) ** np.array([1.0, 2.0, 3.0, 4.0])
    for i in range(4):
        step = np.zeros(4)
        step[i] = 1e-5 * scale[i]
        slope = (figures(moments + step) - figures(moments - step)) / (2.0 * step[i])
        total += slope[:, None] * influence[i]
    size = effective_size(weight)
    var, es = (math.sqrt(float(np.add.reduce(weight * row**2)) / size) for row in total)
    return var, es
