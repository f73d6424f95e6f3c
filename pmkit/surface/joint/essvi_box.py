"""Surfaces of eSSVI slices without static arbitrage, in coordinates that are free of one another.

Mingone's box: whatever ``rho`` in (-1, 1), ``theta_first`` and ``a`` positive and ``c`` in (0, 1) are taken,
the slices they stand for have neither butterfly nor calendar arbitrage, and every surface that meets the
conditions below is reached by one box alone. So an optimiser, a simulated factor or a shock that moves in
these coordinates never has to be repaired.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from pmkit.core.errors import ArbitrageError, ParameterError
from pmkit.core.types import FloatArray
from pmkit.surface.joint.essvi_bound import Bound, check_bound, psi_max
from pmkit.surface.joint.essvi_kernel import PSI, ROWS, THETA, box_passes, projected_pass

__all__ = [
    "EssviBox",
    "EssviCurves",
    "EssviProjection",
    "box_to_parameters",
    "check_curves",
    "from_unconstrained",
    "parameters_to_box",
    "project",
    "to_unconstrained",
    "unconstrained_to_parameters",
]

#: A condition missed by no more than this share of its terms is met, up to rounding.
_ROUNDING = 1e-12
#: Projected parameters stay this share inside each bound, so that rounding does not carry them out.
EDGE = 1e-10


class EssviCurves(NamedTuple):
    """Parameters of the slices: total variance at the money, tilt and wing scale, arrays of (..., slices)."""

    theta: FloatArray
    rho: FloatArray
    psi: FloatArray


def _frozen(values: npt.ArrayLike) -> FloatArray:
    array = np.array(values, dtype=np.float64, ndmin=1)
    array.flags.writeable = False
    return array


def _require_all(name: str, values: FloatArray, allowed: npt.NDArray[np.bool_], expected: str) -> None:
    bad = np.flatnonzero(~allowed)
    if bad.size:
        raise ParameterError(
            f"{name}[{bad[0]}] is {values.ravel()[bad[0]]:g}", expected, "correct the parameter"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class EssviBox:
    """An arbitrage-free surface of n slices in Mingone's coordinates.

    Attributes
    ----------
    rho : ndarray, shape (n,)
        Tilt of each slice, between -1 and 1 exclusive.
    theta_first : float
        Total variance at the money of the first slice, positive.
    a : ndarray, shape (n - 1,)
        What total variance at the money grows by beyond its least, 0 or more.
    c : ndarray, shape (n,)
        Where psi lies between its least and its greatest value, 0 to 1.
    bound : {"mm", "gj"}
        Butterfly bound: exact, or sufficient.

    Raises
    ------
    ParameterError
        Shapes that do not fit, or a number outside its domain.

    Notes
    -----
    ``p_i = max((1 + rho_(i-1))/(1 + rho_i), (1 - rho_(i-1))/(1 - rho_i))``,
    ``theta_i = theta_(i-1) p_i + a_i``, ``f_i`` the greatest psi without butterflies, ``S_n = f_n``,
    ``S_i = min(f_i, S_(i+1)/p_(i+1))``, ``A_i = psi_(i-1) p_i`` and
    ``C_i = min(psi_(i-1) theta_i/theta_(i-1), S_i)`` (0 and S_1 for the first), and
    ``psi_i = A_i + c_i (C_i - A_i)``. At the ends of the ranges the conditions hold with equality, up to
    rounding.

    References
    ----------
    Mingone (2022).

    Examples
    --------
    >>> box = EssviBox(rho=[-0.6, -0.5], theta_first=0.01, a=[0.01], c=[0.5, 0.5], bound="gj")
    >>> box_to_parameters(box).psi.round(6)
    array([0.079057, 0.123856])
    """

    rho: FloatArray
    theta_first: float
    a: FloatArray
    c: FloatArray
    bound: Bound = "mm"

    def __post_init__(self) -> None:
        for name in ("rho", "a", "c"):
            array = np.array(getattr(self, name), dtype=np.float64).reshape(-1)
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        n = self.rho.size
        if n == 0 or self.c.size != n or self.a.size != n - 1:
            raise ParameterError(
                f"{n} rho, {self.a.size} a and {self.c.size} c",
                "n, n - 1 and n of them",
                "give one of each per slice, and no a for the first",
            )
        check_bound(self.bound)
        first = np.array([self.theta_first], dtype=np.float64)
        _require_all("rho", self.rho, np.abs(self.rho) < 1.0, "between -1 and 1, both excluded")
        _require_all("theta_first", first, (first > 0.0) & np.isfinite(first), "a finite positive number")
        _require_all("a", self.a, (self.a >= 0.0) & np.isfinite(self.a), "a finite number, 0 or more")
        _require_all("c", self.c, (self.c >= 0.0) & (self.c <= 1.0), "between 0 and 1")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, EssviBox):
            return NotImplemented
        return self.bound == other.bound and self._key == other._key

    def __hash__(self) -> int:
        return hash((self.bound, self._key))

    @property
    def _key(self) -> tuple[float, ...]:
        return (float(self.theta_first), *self.rho.tolist(), *self.a.tolist(), *self.c.tolist())

    @property
    def size(self) -> int:
        """Number of slices."""
        return int(self.rho.size)

    def inside(self, edge: float = 1e-6) -> EssviBox:
        """Return the box with c kept ``edge`` away from 0 and 1, and a at least ``edge`` times theta_first.

        Raises
        ------
        ParameterError
            ``edge`` not between 0 and 1/2.
        """
        if not 0.0 < edge < 0.5:
            raise ParameterError(f"edge is {edge:g}", "between 0 and 0.5, both excluded", "correct it")
        return EssviBox(
            rho=self.rho,
            theta_first=self.theta_first,
            a=np.maximum(self.a, edge * self.theta_first),
            c=np.clip(self.c, edge, 1.0 - edge),
            bound=self.bound,
        )

    def table(self) -> FloatArray:
        """Return theta, psi, p, f, S, A and C of the notes, one row each, one column a slice."""
        tables = np.empty((1, 7, self.size))
        box_passes(
            self.rho[None],
            np.array([self.theta_first]),
            self.a[None],
            self.c[None],
            self.bound == "mm",
            tables,
        )
        return np.asarray(tables[0])

    def to_frame(self) -> pd.DataFrame:
        """Return one row per slice: rho, theta, psi, and p, f, S, A, C of the notes."""
        frame = pd.DataFrame(self.table().T, columns=list(ROWS))
        frame.insert(0, "rho", self.rho)
        return frame


def box_to_parameters(box: EssviBox) -> EssviCurves:
    """Return theta, rho and psi of the slices of a box, arrays of one number per slice.

    References
    ----------
    Mingone (2022).

    Examples
    --------
    >>> box = EssviBox(rho=[-0.6, -0.5], theta_first=0.01, a=[0.01], c=[0.5, 0.5])
    >>> box_to_parameters(box).theta.round(6)
    array([0.01    , 0.020667])
    """
    table = box.table()
    return EssviCurves(theta=table[THETA].copy(), rho=box.rho.copy(), psi=table[PSI].copy())


def check_curves(theta: npt.ArrayLike, rho: npt.ArrayLike, psi: npt.ArrayLike) -> EssviCurves:
    """Return theta, rho and psi as arrays of one length, each in its domain; arbitrage is not looked at.

    Raises
    ------
    ParameterError
        Lengths that differ, NaN, theta or psi not positive, or rho outside (-1, 1).
    """
    curves = EssviCurves(*(np.array(v, dtype=np.float64).reshape(-1) for v in (theta, rho, psi)))
    if not curves.theta.size or len({v.size for v in curves}) != 1:
        raise ParameterError(
            f"{curves.theta.size} theta, {curves.rho.size} rho and {curves.psi.size} psi",
            "as many of each, at least one",
            "give one of each per slice",
        )
    positive = "a finite positive number"
    _require_all("theta", curves.theta, (curves.theta > 0.0) & np.isfinite(curves.theta), positive)
    _require_all("rho", curves.rho, np.abs(curves.rho) < 1.0, "between -1 and 1, both excluded")
    _require_all("psi", curves.psi, (curves.psi > 0.0) & np.isfinite(curves.psi), positive)
    return curves


def parameters_to_box(
    theta: npt.ArrayLike, rho: npt.ArrayLike, psi: npt.ArrayLike, bound: Bound = "mm"
) -> EssviBox:
    """Return the box of given slices.

    Parameters
    ----------
    theta, rho, psi : array_like, shape (n,)
        Earliest slice first: total variance at the money, tilt, wing scale ``theta phi``.
    bound : {"mm", "gj"}
        Butterfly bound: exact, or sufficient.

    Raises
    ------
    ParameterError
        A number outside its domain.
    ArbitrageError
        The slices are not admissible: :func:`project` brings them in.

    Notes
    -----
    ``c`` is set to 1/2 where its range is a single point. A bound missed by less than 1e-12 of its size is
    taken to be met.

    Examples
    --------
    >>> box = parameters_to_box([0.01, 0.02], [-0.4, -0.4], [0.1, 0.15])
    >>> box.a.round(6), box.c.round(4)
    (array([0.01]), array([0.2965, 0.5   ]))
    """
    level, tilt, scale = check_curves(theta, rho, psi)
    ratio = np.maximum((1.0 + tilt[:-1]) / (1.0 + tilt[1:]), (1.0 - tilt[:-1]) / (1.0 - tilt[1:]))
    growth = level[1:] - level[:-1] * ratio
    _admit(
        "theta", level[1:], growth, _ROUNDING * level[1:], "at least p theta of the slice before", 1,
        "total variance at the money falls too far behind the wings",
    )  # fmt: skip
    steepest = psi_max(level, tilt, bound)
    _admit(
        "psi", scale, steepest - scale, _ROUNDING * steepest, "at most the butterfly bound", 0,
        "the slice has butterfly arbitrage" if bound == "mm" else "the sufficient bound is exceeded",
    )  # fmt: skip
    low, high = scale[:-1] * ratio, scale[:-1] * level[1:] / level[:-1]
    _admit(
        "psi", scale[1:], scale[1:] - low, _ROUNDING * low, "at least p psi of the slice before", 1,
        "a wing is flatter than before: calendar arbitrage",
    )  # fmt: skip
    _admit(
        "psi", scale[1:], high - scale[1:], _ROUNDING * high, "at most theta times phi before", 1,
        "psi/theta rises with expiry, which the box does not hold",
    )  # fmt: skip
    above = steepest.copy()
    for i in range(level.size - 2, -1, -1):
        above[i] = min(above[i], above[i + 1] / ratio[i])
    least = np.concatenate([[0.0], low])
    room = np.minimum(np.concatenate([[np.inf], high]), above) - least
    share = np.divide(scale - least, room, out=np.full(level.size, 0.5), where=room > 0.0)
    return EssviBox(
        rho=tilt,
        theta_first=float(level[0]),
        a=np.maximum(growth, 0.0),
        c=np.clip(share, 0.0, 1.0),
        bound=bound,
    )


def _admit(
    name: str,
    values: FloatArray,
    spare: FloatArray,
    rounding: FloatArray,
    expected: str,
    first: int,
    why: str,
) -> None:
    bad = np.flatnonzero(spare < -rounding)
    if bad.size:
        i = int(bad[0])
        raise ArbitrageError(
            f"{name}[{i + first}] is {values[i]:g}, off by {-spare[i]:g}: {why}",
            expected,
            "project() brings the slices in",
        )


def to_unconstrained(box: EssviBox) -> FloatArray:
    """Return atanh rho (n), ln theta_first, ln a (n - 1) and logit c (n) of a box, one array of 3n numbers.

    Raises
    ------
    ParameterError
        a is 0, or c is 0 or 1: these have no finite coordinate; :meth:`EssviBox.inside` moves them in.

    Examples
    --------
    >>> box = EssviBox(rho=[0.0], theta_first=1.0, a=[], c=[0.5])
    >>> to_unconstrained(box)
    array([0., 0., 0.])
    """
    edge = [*np.flatnonzero(box.a == 0.0), *np.flatnonzero((box.c == 0.0) | (box.c == 1.0))]
    if edge:
        raise ParameterError(
            f"{len(edge)} of a and c at the end of their range",
            "a positive, c between 0 and 1, both excluded",
            "take box.inside() first",
        )
    return np.concatenate(
        [
            np.arctanh(box.rho),
            [np.log(box.theta_first)],
            np.log(box.a),
            np.log(box.c) - np.log1p(-box.c),
        ]
    )


def _split(x: npt.ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return rho, theta_first, a and c of unconstrained rows, each with the leading shape of ``x``."""
    values = np.asarray(x, dtype=np.float64)
    if values.ndim == 0 or values.shape[-1] == 0 or values.shape[-1] % 3:
        raise ParameterError(
            f"coordinates of shape {values.shape}", "3n numbers in the last axis", "give 3 per slice"
        )
    if not np.isfinite(values).all():
        raise ParameterError(
            f"{int((~np.isfinite(values)).sum())} coordinates are not finite", "finite numbers", "drop them"
        )
    n = values.shape[-1] // 3
    # tanh and the logistic function reach their limits in doubles from about 19 and 37 on
    rho = np.clip(np.tanh(values[..., :n]), -1.0 + 1e-9, 1.0 - 1e-9)
    share = np.clip(0.5 * (1.0 + np.tanh(0.5 * values[..., 2 * n :])), 1e-12, 1.0 - 1e-12)
    grown = np.exp(np.clip(values[..., n : 2 * n], -100.0, 100.0))
    return rho, grown[..., 0], grown[..., 1:], share


def from_unconstrained(x: npt.ArrayLike, bound: Bound = "mm") -> EssviBox:
    """Return the box of 3n unconstrained coordinates; see :func:`to_unconstrained`.

    ``|rho|`` is kept 1e-9 below 1, c 1e-12 inside 0 and 1, and the logarithms within 100 of 0.

    Raises
    ------
    ParameterError
        Not 3n finite numbers, or an unknown bound.

    Examples
    --------
    >>> from_unconstrained([0.0, 0.0, 0.0]).c
    array([0.5])
    """
    if np.ndim(x) != 1:
        raise ParameterError(f"coordinates with {np.ndim(x)} axes", "one axis", "give one box at a time")
    rho, first, a, c = _split(x)
    return EssviBox(rho=rho, theta_first=float(first), a=a, c=c, bound=bound)


def unconstrained_to_parameters(x: npt.ArrayLike, bound: Bound = "mm") -> EssviCurves:
    """Return theta, rho and psi of many boxes in unconstrained coordinates, arrays of shape (..., n).

    Parameters
    ----------
    x : array_like, shape (..., 3n)
        Finite numbers, in the order of :func:`to_unconstrained`.
    bound : {"mm", "gj"}
        Butterfly bound: exact, or sufficient.

    Raises
    ------
    ParameterError
        Not 3n finite numbers, or an unknown bound.

    Examples
    --------
    >>> curves = unconstrained_to_parameters(np.zeros((1000, 6)))
    >>> curves.psi.shape, float(curves.theta[0, 1])
    ((1000, 2), 2.0)
    """
    exact = check_bound(bound)
    rho, first, a, c = _split(x)
    n, leading = rho.shape[-1], first.shape
    tables = np.empty((first.size, 7, n))
    flat = (np.ascontiguousarray(v).reshape(first.size, -1) for v in (rho, a, c))
    tilt, growth, share = flat
    box_passes(tilt, np.ascontiguousarray(first).reshape(-1), growth, share, exact, tables)
    return EssviCurves(
        theta=tables[:, THETA].reshape(*leading, n).copy(),
        rho=rho.copy(),
        psi=tables[:, PSI].reshape(*leading, n).copy(),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class EssviProjection:
    """Admissible slices in the place of given ones, and how far they were moved.

    Attributes
    ----------
    theta, rho, psi : ndarray, shape (n,)
        Admissible parameters; rho is as given.
    moved_theta, moved_psi : ndarray, shape (n,)
        Projected less given; 0 where nothing had to move.
    bound : {"mm", "gj"}
        Butterfly bound that was applied.
    """

    theta: FloatArray
    rho: FloatArray
    psi: FloatArray
    moved_theta: FloatArray
    moved_psi: FloatArray
    bound: Bound

    @property
    def moved(self) -> bool:
        """True where any number was moved."""
        return bool((self.moved_theta != 0.0).any() or (self.moved_psi != 0.0).any())

    def to_frame(self) -> pd.DataFrame:
        """Return one row per slice: theta, rho, psi, moved_theta, moved_psi."""
        names = ("theta", "rho", "psi", "moved_theta", "moved_psi")
        return pd.DataFrame({name: getattr(self, name) for name in names})


def project(
    theta: npt.ArrayLike, rho: npt.ArrayLike, psi: npt.ArrayLike, bound: Bound = "mm"
) -> EssviProjection:
    """Return admissible slices near given ones: psi cut to its bounds, theta raised where it falls behind.

    A forward pass, not the nearest point in some norm: rho stays, ``theta_i`` is raised to
    ``p_i theta_(i-1)`` where it is less, then ``psi_i`` is cut to the range that the butterfly bound and the
    slices around it leave. Slices that are admissible come back as they are, unless within 1e-10 of a bound.

    Parameters
    ----------
    theta, rho, psi : array_like, shape (n,)
        Earliest slice first.
    bound : {"mm", "gj"}
        Butterfly bound: exact, or sufficient.

    Raises
    ------
    ParameterError
        A number outside its domain, lengths that differ, or an unknown bound.

    References
    ----------
    Mingone (2022).

    Examples
    --------
    >>> cut = project([0.01, 0.012], [0.0, 0.0], [0.6, 0.6])
    >>> cut.psi.round(6), cut.moved_psi.round(6), cut.moved_theta
    (array([0.443216, 0.485141]), array([-0.156784, -0.114859]), array([0., 0.]))
    """
    exact = check_bound(bound)
    given = check_curves(theta, rho, psi)
    out = np.empty((2, given.theta.size))
    projected_pass(given.theta, given.rho, given.psi, exact, EDGE, out)
    return EssviProjection(
        theta=_frozen(out[0]),
        rho=_frozen(given.rho),
        psi=_frozen(out[1]),
        moved_theta=_frozen(out[0] - given.theta),
        moved_psi=_frozen(out[1] - given.psi),
        bound=bound,
    )
