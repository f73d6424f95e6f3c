"""How a smile moves when spot, its level or time does: what is held fixed, as a map of log-moneyness."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from pmkit.core.errors import ConventionError, ParameterError
from pmkit.core.types import Dynamics, FloatArray
from pmkit.pricing.inputs import as_floats
from pmkit.surface.arguments import as_number
from pmkit.surface.readouts.curves import VarianceCurve, check_tau, variance_curve

__all__ = ["SkewStickiness", "SmileDynamics", "check_dynamics", "held_at", "skew_stickiness", "spot_vols"]


@dataclass(frozen=True)
class SkewStickiness:
    """Mixed dynamics: the vol at the money follows the skew ``ratio`` times as far as spot moves.

    Attributes
    ----------
    ratio : float
        R of ``d iv_ATM = R (d iv/dk at 0) d ln F``: 0 holds vol at moneyness, 1 at the strike, and 2 is what
        a local volatility model does at the short end. Any finite number.

    Raises
    ------
    ParameterError
        The ratio is not finite.

    Notes
    -----
    For a move that is not small the smile is read at ``k' + R ln(F'/F)``, which gives 0 and 1 exactly.

    References
    ----------
    Bergomi (2009).
    """

    ratio: float

    def __post_init__(self) -> None:
        value = self.ratio
        if isinstance(value, (bool, str)) or not math.isfinite(value):
            raise ParameterError(
                f"skew-stickiness ratio is {value!r}", "a finite number, customarily 0 to 2", "correct it"
            )


SmileDynamics: TypeAlias = Dynamics | SkewStickiness
"""``"sticky_strike"``, ``"sticky_moneyness"``, ``"sticky_delta"``, or :class:`SkewStickiness`."""


def check_dynamics(dynamics: object, *, needed: bool) -> SmileDynamics:
    """Return the smile dynamics; those that change nothing where none are given and none are needed.

    Raises
    ------
    ConventionError
        Unknown, or missing although the forward moves.
    """
    names = get_args(Dynamics)
    if dynamics is None and not needed:
        return "sticky_moneyness"
    if isinstance(dynamics, SkewStickiness):
        return dynamics
    if isinstance(dynamics, str) and dynamics in names:
        return dynamics  # type: ignore[return-value]
    found = (
        "no smile dynamics for a move of the forward" if dynamics is None else f"smile dynamics {dynamics!r}"
    )
    raise ConventionError(
        found,
        f"{', '.join(names)} or SkewStickiness(ratio)",
        "say dynamics=...: what the move does to the smile is a choice",
    )


def held_at(dynamics: SmileDynamics, log_move: float, stretch: float) -> tuple[float, float]:
    """Return shift and divisor of log-moneyness: the smile is read at ``(k' + shift)/divisor``.

    Parameters
    ----------
    dynamics : SmileDynamics
    log_move : float
        ``ln(F'/F)``.
    stretch : float
        ``iv_ATM sqrt(tau)`` after the move over that before; read by ``sticky_delta``.

    Examples
    --------
    >>> held_at("sticky_strike", -0.1, 1.5), held_at("sticky_delta", -0.1, 1.5)
    ((-0.1, 1.0), (0.0, 1.5))
    """
    if isinstance(dynamics, SkewStickiness):
        return dynamics.ratio * log_move, 1.0
    if dynamics == "sticky_strike":
        return log_move, 1.0
    return 0.0, (stretch if dynamics == "sticky_delta" else 1.0)


def spot_vols(
    source: Any,
    strike: npt.ArrayLike,
    forward: float,
    forward_after: float,
    *,
    dynamics: SmileDynamics,
    tau: float | None = None,
) -> FloatArray:
    """Return implied vol (decimal) at strikes after the forward has moved and nothing else has.

    Parameters
    ----------
    source : slice, RawSvi, surface or callable
        Total variance in k before the move; see :func:`variance_curve`.
    strike : array_like
        USD, positive.
    forward, forward_after : float
        USD, positive.
    dynamics : SmileDynamics
        Required: what is held fixed.
    tau : float, optional
        Years; needed where the source does not know its own.

    Raises
    ------
    ConventionError
        Unknown dynamics.
    ParameterError
        A price, a strike or the time is not positive.

    Examples
    --------
    >>> from pmkit.surface import RawSvi
    >>> smile = RawSvi(a=0.01, b=0.06, rho=-0.2, m=0.0, sigma=0.2)
    >>> [float(spot_vols(smile, 45e3, 60e3, 50e3, tau=0.1, dynamics=rule).round(4))
    ...  for rule in ("sticky_strike", "sticky_moneyness")]
    [0.5872, 0.4983]
    """
    rule = check_dynamics(dynamics, needed=True)
    strikes = as_floats("strike", strike, "USD", any_sign=True, finite=False)
    if not (strikes > 0.0).all() or np.isinf(strikes).any():
        raise ParameterError(
            f"strike is {float(np.min(strikes)):g} USD", "positive, finite prices", "correct the argument"
        )
    for what, value in (("forward", forward), ("forward_after", forward_after)):
        if not 0.0 < as_number(what, value) < math.inf:
            raise ParameterError(f"{what} is {value:g} USD", "a positive price", "correct the argument")
    curve = variance_curve(source, tau)
    years = check_tau(curve.tau)
    shift, divisor = held_at(rule, math.log(forward_after / forward), 1.0)
    k = (np.log(strikes / forward_after) + shift) / divisor
    return np.asarray(np.sqrt(curve.w(k) / years))


def _atm(curve: VarianceCurve) -> tuple[float, float]:
    """Return vol at the money and its derivative in k."""
    zero = np.array(0.0)
    iv = math.sqrt(float(curve.w(zero)) / curve.tau)
    return iv, float(curve.dw(zero)) / (2.0 * iv * curve.tau)


def skew_stickiness(before: Any, after: Any, log_move: float, *, tau: float | None = None) -> float:
    """Return the skew-stickiness ratio that a move of the vol at the money shows, 0 to 2 as a rule.

    Parameters
    ----------
    before, after : slice, RawSvi, surface or callable
        Total variance in k of the same expiry, each at its own forward.
    log_move : float
        ``ln(F'/F)``, not 0.
    tau : float, optional
        Years; needed where the sources do not know their own.

    Returns
    -------
    float
        ``(iv'_ATM - iv_ATM)/(skew·log_move)``; NaN where the smile before has no skew.

    Raises
    ------
    ParameterError
        ``log_move`` is 0 or not finite.

    References
    ----------
    Bergomi (2009).

    Examples
    --------
    >>> from pmkit.surface import RawSvi
    >>> before = RawSvi(a=0.02, b=0.1, rho=-0.3, m=0.0, sigma=0.1)
    >>> after = RawSvi(a=0.02, b=0.1, rho=-0.3, m=0.01, sigma=0.1)
    >>> round(skew_stickiness(before, after, -0.01, tau=0.1), 3)
    1.163
    """
    if not math.isfinite(as_number("log_move", log_move)) or log_move == 0.0:
        raise ParameterError(f"log_move is {log_move!r}", "a finite move other than 0", "correct it")
    (first, skew), (second, _) = (_atm(variance_curve(one, tau)) for one in (before, after))
    return (second - first) / (skew * log_move) if skew != 0.0 else math.nan
