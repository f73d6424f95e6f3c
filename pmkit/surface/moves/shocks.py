"""What a stress does to a surface, in numbers: spot, vol level, skew, curvature, term twist, time."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Protocol, runtime_checkable

from pmkit.core.errors import ConventionError, ParameterError
from pmkit.surface.arguments import as_number

__all__ = ["SurfaceShock", "TermLaw", "elasticity_needed"]


@runtime_checkable
class TermLaw(Protocol):
    """By how much a vol move is multiplied away from its reference tenor: ``pmkit.scenarios.TermScaling``."""

    def scale(self, days: float) -> float:
        """Return the factor at ``days`` to expiry."""
        ...


_SIZES = ("spot", "vol", "vol_add", "skew", "curvature", "twist", "horizon_days")


@dataclass(frozen=True, kw_only=True)
class SurfaceShock:
    """One stress of a whole surface; every size is 0 unless given, and all that are given act together.

    Attributes
    ----------
    spot : float
        Move of the index and of every forward, ``S' = S (1 + spot)``; above -1.
    vol : float
        Move of implied vol at the reference tenor of ``vol_term``, in ``vol_unit``.
    vol_add : float
        Parallel move of implied vol at the reference tenor, decimal: 0.05 is five vol points.
    skew : float
        Fall of implied vol per standard deviation of log-moneyness at the money, decimal.
    curvature : float
        Rise of implied vol per squared standard deviation, decimal.
    twist : float
        Exponent of the factor ``(days/reference_days)**twist``: above 0 the long end rises against the short.
    horizon_days : float
        Days of ageing, 0 or more; the implied vol of each expiry is held while its time runs.
    vol_unit : {"relative", "log"}
        ``relative``: vol times ``1 + vol·scale``; ``log``: times ``exp(vol·scale)``.
    vol_term : TermLaw, optional
        Law by which ``vol`` and ``vol_add`` reach other tenors, such as ``TermScaling``; parallel where None.
    min_vol_up : float
        Least vol where the level moves up (``vol + vol_add`` positive), decimal; 0 for none.
    reach : float
        Standard deviations at which skew and curvature level off.
    reference_days : float
        Tenor at which the twist is nothing.

    Raises
    ------
    ParameterError
        A size that is not finite, a spot move of -1 or below, a relative vol move below -1, or another number
        outside its range.
    ConventionError
        An unknown ``vol_unit``, or a ``vol_term`` without a scale.

    Notes
    -----
    With ``z = k/(iv_ATM sqrt(tau))`` before the shock and ``t = reach·tanh(z/reach)``, the vol after it is
    ``c·iv + vol_add·scale - skew·t + curvature·t²`` with ``c`` from ``vol`` and ``twist``. Near the money it
    is a skew in ``-k`` and a curvature in ``k²``. It has to level off: a vol that goes on like k breaks
    Lee's bound at any size, and a cut at ``reach`` would be a kink.

    Examples
    --------
    >>> print(SurfaceShock(spot=-0.16, vol=0.5) + SurfaceShock(skew=0.01))
    spot -16%, vol +50%, skew +1 pt per sd
    """

    spot: float = 0.0
    vol: float = 0.0
    vol_add: float = 0.0
    skew: float = 0.0
    curvature: float = 0.0
    twist: float = 0.0
    horizon_days: float = 0.0
    vol_unit: Literal["relative", "log"] = "relative"
    vol_term: TermLaw | None = None
    min_vol_up: float = 0.0
    reach: float = 3.0
    reference_days: float = 30.0

    def __post_init__(self) -> None:
        for name in (*_SIZES, "min_vol_up", "reach", "reference_days"):
            _check_number(name, getattr(self, name))
        lowest = {"spot": -1.0} | ({"vol": -1.0} if self.vol_unit == "relative" else {})
        for name, least in lowest.items():
            value = getattr(self, name)
            if value < least or (name == "spot" and value == least):
                raise ParameterError(
                    f"{name} of a surface shock is {value:g}",
                    f"a decimal above {least:g}",
                    "write -0.16 for 16 per cent down",
                )
        for name in ("horizon_days", "min_vol_up"):
            if getattr(self, name) < 0.0:
                raise ParameterError(
                    f"{name} of a surface shock is {getattr(self, name):g}", "0 or more", "correct it"
                )
        for name in ("reach", "reference_days"):
            if getattr(self, name) <= 0.0:
                raise ParameterError(
                    f"{name} of a surface shock is {getattr(self, name):g}", "a positive number", "correct it"
                )
        if self.vol_unit not in ("relative", "log"):
            raise ConventionError(f"vol_unit {self.vol_unit!r}", "'relative' or 'log'", "name one of the two")
        if self.vol_term is not None and not isinstance(self.vol_term, TermLaw):
            raise ConventionError(
                f"vol_term of type {type(self.vol_term).__name__}",
                "an object with scale(days), such as pmkit.scenarios.TermScaling",
                "pass TermScaling(short_power=..., long_power=...)",
            )

    # -- what it does at a tenor ----------------------------------------------------------------------------
    def scale(self, days: float) -> float:
        """Return the factor on ``vol`` and ``vol_add`` at ``days`` to expiry."""
        return 1.0 if self.vol_term is None else float(self.vol_term.scale(days))

    def level(self, days: float) -> float:
        """Return what implied vol is multiplied by at ``days`` to expiry, the twist left aside.

        Raises
        ------
        ParameterError
            The move takes the vol of that tenor to 0 or below.
        """
        moved = self.vol * self.scale(days)
        level = math.exp(moved) if self.vol_unit == "log" else 1.0 + moved
        if not level > 0.0:
            raise ParameterError(
                f"the vol move at {days:g} days is {moved:+.4g} (relative)",
                "above -1, so that the vol stays positive",
                "make the move smaller, flatten vol_term, or give it in logs (vol_unit='log')",
            )
        return level

    def factor(self, days: float) -> float:
        """Return what implied vol is multiplied by at ``days`` to expiry; raises as :meth:`level`."""
        level = self.level(days)
        return level if self.twist == 0.0 else level * (days / self.reference_days) ** self.twist

    @property
    def up(self) -> bool:
        """True where the level of vol moves up, so that ``min_vol_up`` applies."""
        return self.vol + self.vol_add > 0.0

    @property
    def floor(self) -> float:
        """The least vol that applies: ``min_vol_up`` of a move up, else 0."""
        return self.min_vol_up if self.up else 0.0

    @property
    def scales_only(self) -> bool:
        """True where each smile is only multiplied, moved and aged: no parallel, skew, curvature, floor."""
        return self.vol_add == self.skew == self.curvature == self.floor == 0.0

    @property
    def is_zero(self) -> bool:
        """True where nothing moves."""
        return all(getattr(self, name) == 0.0 for name in _SIZES)

    # -- arithmetic -----------------------------------------------------------------------------------------
    def scaled(self, size: float) -> SurfaceShock:
        """Return the shock with every size multiplied; conventions and ``min_vol_up`` stay.

        Raises
        ------
        ParameterError
            ``size`` is not finite, or a size leaves its range.
        """
        _check_number("size", size)
        return replace(self, **{name: size * getattr(self, name) for name in _SIZES})

    def __add__(self, other: SurfaceShock) -> SurfaceShock:
        """Return the shock in which both act together: sizes add up.

        Raises
        ------
        ConventionError
            They say differently how a size is read, and both use it.
        """
        if not isinstance(other, SurfaceShock):
            return NotImplemented
        read_by = {
            "vol_unit": ("vol",),
            "vol_term": ("vol", "vol_add"),
            "min_vol_up": ("vol", "vol_add"),
            "reach": ("skew", "curvature"),
            "reference_days": ("twist",),
        }
        chosen: dict[str, Any] = {}
        for convention, sizes in read_by.items():
            mine, theirs = getattr(self, convention), getattr(other, convention)
            used = [any(getattr(shock, size) != 0.0 for size in sizes) for shock in (self, other)]
            if all(used) and mine != theirs:
                raise ConventionError(
                    f"{convention} of two shocks is {mine!r} and {theirs!r}",
                    "one convention, since both move " + " or ".join(sizes),
                    "apply one after the other: surface.shock(first).shock(second)",
                )
            chosen[convention] = theirs if used[1] else mine
        return SurfaceShock(**{n: getattr(self, n) + getattr(other, n) for n in _SIZES}, **chosen)

    def __str__(self) -> str:
        parts = []
        if self.spot:
            parts.append(f"spot {_percent(self.spot)}")
        if self.vol:
            moved = math.expm1(self.vol) if self.vol_unit == "log" else self.vol
            parts.append(f"vol {_percent(moved)}{'' if self.vol_term is None else ' at the reference tenor'}")
        if self.vol_add:
            parts.append(f"vol {_points(self.vol_add)}")
        if self.skew:
            parts.append(f"skew {_points(self.skew)} per sd")
        if self.curvature:
            parts.append(f"curvature {_points(self.curvature)} per sd²")
        if self.twist:
            parts.append(f"twist {self.twist:+g}")
        if self.floor:
            parts.append(f"vol at least {100.0 * self.floor:g}%")
        if self.horizon_days:
            parts.append(f"{self.horizon_days:g} days later")
        return ", ".join(parts) or "no move"

    def to_dict(self) -> dict[str, Any]:
        """Return every number and convention by name; a term law by its own words."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return values | {"vol_term": None if self.vol_term is None else repr(self.vol_term)}


def _check_number(name: str, value: object) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number and not hasattr(value, "__float__"):
        raise ParameterError(f"{name} of a surface shock is {value!r}", "a number", "correct it")
    if isinstance(value, bool) or not math.isfinite(float(value)):  # type: ignore[arg-type]
        raise ParameterError(f"{name} of a surface shock is {value!r}", "a finite number", "correct it")


def _percent(move: float) -> str:
    return f"{100.0 * move:+.4f}".rstrip("0").rstrip(".") + "%"


def _points(move: float) -> str:
    return f"{100.0 * move:+.4f}".rstrip("0").rstrip(".") + " pt"


def elasticity_needed(shock: SurfaceShock, days: float) -> float:
    """Return the least ``d ln theta/d ln T`` at which a scaled surface keeps rising in time, at one tenor.

    A continuous surface whose total variance at fixed k grows more slowly than this admits calendar arbitrage
    once it is multiplied by the shock's factor. Where the law bends, the steeper side counts.

    Parameters
    ----------
    shock : SurfaceShock
        Only ``vol``, ``vol_term`` and ``twist`` are read.
    days : float
        Days to expiry, positive.

    Raises
    ------
    ParameterError
        ``days`` is not positive, or the factor there or next to it is not.

    Notes
    -----
    ``-2 d ln c/d ln T``; for ``c = 1 + s x`` with ``x = (30/T)^p`` this is ``2 p s x/(1 + s x)``.

    Examples
    --------
    >>> from pmkit.scenarios import TermScaling
    >>> shock = SurfaceShock(vol=0.5, vol_term=TermScaling(short_power=0.30, long_power=0.13))
    >>> [round(elasticity_needed(shock, days), 3) for days in (1.0, 30.0, 180.0)]
    [0.349, 0.2, 0.074]
    """
    if not 0.0 < as_number("days", days) < math.inf:
        raise ParameterError(f"days is {days!r}", "a positive number of days", "correct it")
    # the law is a power on either side of a bend, so that a difference of logs is exact but for rounding
    step, here, sides = 1e-3, shock.scale(days), []
    moved = shock.vol * here
    share = moved if shock.vol_unit == "log" else moved / shock.level(days)
    for side in (-1.0, 1.0):
        power = math.log(shock.scale(days * math.exp(side * step)) / here) / (side * step)
        sides.append(-2.0 * (share * power + shock.twist))
    return max(sides)
