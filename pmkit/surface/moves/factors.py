"""How surfaces move from day to day: principal components in coordinates that admit no arbitrage."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError, PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.random import stream
from pmkit.core.result import Result
from pmkit.core.types import FloatArray
from pmkit.surface.joint.essvi import EssviSurface, essvi_w
from pmkit.surface.joint.essvi_bound import Bound
from pmkit.surface.joint.essvi_box import EssviCurves, parameters_to_box, project, to_unconstrained
from pmkit.surface.joint.essvi_box import unconstrained_to_parameters as parameters_of
from pmkit.surface.moves.simulated_surfaces import STEPS, Coordinates, SimulatedSurfaces

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PILLARS", "SurfaceFactors", "surface_factors"]

#: Days to expiry at which surfaces of different days are compared.
PILLARS = (7, 14, 30, 60, 90, 180)


@dataclass(frozen=True, kw_only=True, repr=False)
class SurfaceFactors(Result):
    """Principal components of the moves of a surface, with the spot returns of the same intervals.

    Attributes
    ----------
    coordinates : {"box", "grid"}
        ``box``: unconstrained coordinates of eSSVI slices at the pillars; every point of them is free of
        static arbitrage there. ``grid``: ln iv at constant k/sqrt(theta) and time, the usual choice; nothing
        keeps its points free.
    moves : pandas.DataFrame
        One row per interval, named by its end; one column per coordinate.
    spot_return : pandas.Series
        Log return of the spot over the same interval.
    scale : ndarray, shape (coordinates,)
        What each move is divided by before its components are taken: its standard deviation in the box, whose
        coordinates have units of their own, and 1 on the grid.
    loadings : ndarray, shape (components, coordinates)
        Orthonormal rows, each with its largest element positive.
    variance : ndarray, shape (components,)
        Of the scores, per interval.
    explained : ndarray, shape (components,)
        Share of the total variance.
    points : pandas.DataFrame
        Coordinates of every surface, one row a snapshot.
    taus : ndarray, shape (pillars,)
    bound : {"mm", "gj"}
    notes : tuple of str
        Intervals left out, and what was moved to make the coordinates exist.
    """

    coordinates: Coordinates
    moves: pd.DataFrame
    spot_return: pd.Series[float]
    scale: FloatArray
    loadings: FloatArray
    variance: FloatArray
    explained: FloatArray
    points: pd.DataFrame
    taus: FloatArray
    bound: Bound
    notes: tuple[str, ...]
    references = ("cont2002", "mingone2022")

    @property
    def scores(self) -> pd.DataFrame:
        """Moves in the components: one row per interval, columns PC1, PC2, and so on."""
        centred = (self.moves.to_numpy() - self.moves.to_numpy().mean(axis=0)) / self.scale
        names = [f"PC{i + 1}" for i in range(len(self.loadings))]
        return pd.DataFrame(_product(centred, self.loadings.T), index=self.moves.index, columns=names)

    def simulate(
        self,
        paths: int,
        *,
        seed: int,
        components: int | None = None,
        method: Literal["bootstrap", "normal"] = "bootstrap",
        start: pd.Timestamp | None = None,
        intervals: int = 1,
    ) -> SimulatedSurfaces:
        """Return simulated surfaces some intervals ahead, together with the spot return over all of them.

        Parameters
        ----------
        paths : int
        seed : int
        components : int, optional
            The first so many; all where None.
        method : {"bootstrap", "normal"}
            ``bootstrap`` draws intervals, so that spot return and scores keep their dependence; ``normal``
            draws from their joint covariance.
        start : Timestamp, optional
            Snapshot from which the surfaces move; the last where None.
        intervals : int
            Independent intervals, whose moves and log returns add up; the pillars keep their time to expiry.

        Raises
        ------
        ParameterError
            paths, components or intervals out of range, or an unknown method.
        DataGapError
            No snapshot at ``start``.
        """
        count = len(self.loadings) if components is None else components
        if not (paths >= 1 and 1 <= count <= len(self.loadings)):
            raise ParameterError(
                f"{paths} paths and {count} components",
                f"at least one path and 1 to {len(self.loadings)} components",
                "correct the arguments",
            )
        if not (isinstance(intervals, int) and intervals >= 1):
            raise ParameterError(
                f"intervals is {intervals!r}", "a whole number of at least 1", "correct the argument"
            )
        begin = self.points.index[-1] if start is None else start
        if begin not in self.points.index:
            raise DataGapError(
                f"no snapshot at {begin}", "one of the index of .points", "choose one of these"
            )
        rng = stream(seed, "surface-factors", method)
        returns, scores = self.spot_return.to_numpy(dtype=np.float64), self.scores.to_numpy()[:, :count]
        if method == "bootstrap":
            drawn = rng.integers(0, returns.size, (intervals, paths))
            spot = np.asarray(np.add.reduce(returns[drawn], axis=0), dtype=np.float64)
            score = np.asarray(np.add.reduce(scores[drawn], axis=0), dtype=np.float64)
        elif method == "normal":
            joint = np.column_stack([returns, scores])
            mean = joint.mean(axis=0)
            root = _root(_covariance(joint - mean))
            normal = np.add.reduce(rng.standard_normal((intervals, paths, joint.shape[1])), axis=0)
            both = intervals * mean + _product(normal, root.T)
            spot, score = np.ascontiguousarray(both[:, 0]), np.asarray(both[:, 1:], dtype=np.float64)
        else:
            raise ParameterError(f"method {method!r}", "'bootstrap' or 'normal'", "name one of them")
        drift = intervals * self.moves.to_numpy().mean(axis=0)
        origin = self.points.loc[begin].to_numpy(dtype=np.float64)
        points = origin + drift + self.scale * _product(score, self.loadings[:count])
        if self.coordinates == "box":
            curves = parameters_of(points, self.bound)
            k = np.sqrt(curves.theta)[..., None] * np.asarray(STEPS)
            return SimulatedSurfaces(
                coordinates="box", taus=self.taus, spot_return=spot, curves=curves, k=k, w=_essvi_w(curves, k)
            )
        vols = np.exp(points.reshape(paths, self.taus.size, len(STEPS)))
        w = vols**2 * self.taus[:, None]
        k = np.sqrt(w[..., [len(STEPS) // 2]]) * np.asarray(STEPS)
        return SimulatedSurfaces(coordinates="grid", taus=self.taus, spot_return=spot, curves=None, k=k, w=w)

    def check(self) -> None:
        """Raise PmkitError where the components are not orthonormal or explain more than everything."""
        gap = np.abs(_product(self.loadings, self.loadings.T) - np.eye(len(self.loadings))).max()
        if gap > 1e-9 or float(self.explained.sum()) > 1.0 + 1e-9:
            raise PmkitError(f"loadings miss orthonormality by {gap:.1e}", "at most 1e-9", "report the fault")

    def summary(self) -> pd.DataFrame:
        """Return one row per component: share explained, cumulated, and correlation with the spot return."""
        scores = self.scores
        spot = self.spot_return.to_numpy(dtype=np.float64)
        moves = float(spot.std()) > 0.0
        return pd.DataFrame(
            {
                "explained": self.explained,
                "cumulated": np.cumsum(self.explained),
                "sd": np.sqrt(self.variance),
                "corr_spot": [
                    float(np.corrcoef(scores[c], spot)[0, 1]) if moves else math.nan for c in scores
                ],
            },
            index=scores.columns,
        )

    def to_frame(self) -> pd.DataFrame:
        """Return the spot return and the scores of every interval."""
        return self.scores.assign(spot_return=self.spot_return)

    def plot(self, ax: Axes | None = None, *, components: int = 3) -> Axes:
        """Draw the shares of variance explained, the first components named."""
        axes = new_axes(ax, (6.0, 3.5))
        shares = 100.0 * self.explained
        axes.bar(np.arange(1, shares.size + 1), shares, color="0.7")
        axes.bar(np.arange(1, components + 1), shares[:components])
        axes.set_xlabel("component")
        axes.set_ylabel("variance explained, %")
        return axes


def surface_factors(
    surfaces: Mapping[pd.Timestamp, EssviSurface],
    *,
    pillars: Sequence[float] = PILLARS,
    coordinates: Coordinates = "box",
    components: int = 6,
    longest_gap: str | pd.Timedelta = "36h",
) -> SurfaceFactors:
    """Return the principal components of the moves of fitted surfaces at constant times to expiry.

    Parameters
    ----------
    surfaces : mapping of Timestamp to EssviSurface
        One a snapshot, such as :attr:`PanelFit.surfaces` of one model.
    pillars : sequence of float
        Days to expiry, ascending; surfaces are read there before they are compared, so that the roll of the
        listed expiries makes no move.
    coordinates : {"box", "grid"}
    components : int
    longest_gap : str or Timedelta
        A longer interval between two snapshots is left out and counted in the notes.

    Raises
    ------
    ParameterError
        Pillars not ascending or positive, unknown coordinates, too many components.
    DataGapError
        Fewer intervals than components plus two.

    Notes
    -----
    Components are the eigenvectors of the covariance of the moves, each move divided by its standard
    deviation in the box (atanh rho, ln theta, ln a and logit c have units of their own). A large share then
    says that many coordinates move together, not that prices move much.

    References
    ----------
    Cont and da Fonseca (2002); Mingone (2022).
    """
    days = np.asarray(pillars, dtype=np.float64)
    if days.ndim != 1 or not days.size or not (days > 0.0).all() or not (np.diff(days) > 0.0).all():
        raise ParameterError(f"pillars {list(pillars)!r}", "ascending numbers of days", "correct them")
    if coordinates not in ("box", "grid"):
        raise ParameterError(f"coordinates {coordinates!r}", "'box' or 'grid'", "name one of them")
    taus = days / 365.0
    stamps = sorted(surfaces)
    rows, spots, moved = [], [], 0.0
    bound: Bound = "mm"
    for stamp in stamps:
        surface = surfaces[stamp]
        curves, shift = _at_pillars(surface, taus)
        moved = max(moved, shift)
        bound = surface.bound
        rows.append(_point(curves, taus, coordinates, bound))
        spots.append(math.log(surface.curve.spot))
    table = np.array(rows)
    gaps = np.diff(pd.DatetimeIndex(stamps)) if len(stamps) > 1 else pd.TimedeltaIndex([])
    whole = np.asarray(gaps <= pd.Timedelta(longest_gap))
    if int(whole.sum()) < components + 2:
        raise DataGapError(
            f"{int(whole.sum())} intervals between {len(stamps)} surfaces",
            f"at least {components + 2} for {components} components",
            "give more snapshots, or ask for fewer components",
        )
    moves = np.diff(table, axis=0)[whole]
    if not 1 <= components <= moves.shape[1]:
        raise ParameterError(
            f"{components} components", f"1 to {moves.shape[1]}, the number of coordinates", "correct it"
        )
    centred = moves - moves.mean(axis=0)
    spread = centred.std(axis=0)
    scale = np.where(spread > 0.0, spread, 1.0) if coordinates == "box" else np.ones(moves.shape[1])
    values, vectors = np.linalg.eigh(_covariance(centred / scale))
    order = np.argsort(values)[::-1][:components]
    loadings = vectors[:, order].T
    loadings *= np.sign(loadings[np.arange(components), np.abs(loadings).argmax(axis=1)])[:, None]
    ends = pd.DatetimeIndex(stamps)[1:][whole]
    hours = gaps[whole] / pd.Timedelta("1h")
    names = _names(days, coordinates)
    notes = [f"intervals of {hours.min():.1f} to {hours.max():.1f} hours, not rescaled"]
    if (~whole).any():
        notes.append(f"{int((~whole).sum())} intervals longer than {pd.Timedelta(longest_gap)} left out")
    if coordinates == "box":
        notes.append(f"slices read at the pillars were moved by at most {moved:.2g} vol points into the box")
    return SurfaceFactors(
        coordinates=coordinates,
        moves=pd.DataFrame(moves, index=ends, columns=names),
        spot_return=pd.Series(np.diff(spots)[whole], index=ends, name="spot_return"),
        scale=scale,
        loadings=loadings,
        variance=values[order],
        explained=values[order] / math.fsum(np.maximum(values, 0.0)),
        points=pd.DataFrame(table, index=pd.DatetimeIndex(stamps), columns=names),
        taus=taus,
        bound=bound,
        notes=tuple(notes),
    )


def _at_pillars(surface: EssviSurface, taus: FloatArray) -> tuple[EssviCurves, float]:
    """Return the slices at the pillars, inside the box, and the vol points that moved them."""
    read = surface.parameters_at(taus)
    inside = project(read.theta, read.rho, read.psi, bound=surface.bound)
    curves = EssviCurves(theta=inside.theta, rho=inside.rho, psi=inside.psi)
    k = np.sqrt(read.theta)[:, None] * np.asarray(STEPS)
    before, after = (np.sqrt(_essvi_w(c, k) / taus[:, None]) for c in (read, curves))
    return curves, 100.0 * float(np.abs(after - before).max())


def _point(curves: EssviCurves, taus: FloatArray, coordinates: Coordinates, bound: Bound) -> FloatArray:
    if coordinates == "box":
        return to_unconstrained(parameters_to_box(*curves, bound=bound).inside(1e-4))
    k = np.sqrt(curves.theta)[:, None] * np.asarray(STEPS)
    return np.asarray(0.5 * np.log(_essvi_w(curves, k) / taus[:, None])).ravel()


def _names(days: FloatArray, coordinates: Coordinates) -> list[str]:
    if coordinates == "grid":
        return [f"iv {d:g}d {z:+g}" for d in days for z in STEPS]
    later = days[1:]
    return [
        *(f"rho {d:g}d" for d in days),
        f"theta {days[0]:g}d",
        *(f"a {d:g}d" for d in later),
        *(f"c {d:g}d" for d in days),
    ]


def _essvi_w(curves: EssviCurves, k: FloatArray) -> FloatArray:
    """Return total variance of slices (..., pillars) at k of shape (..., pillars, points)."""
    theta, rho, psi = (np.asarray(v)[..., None] for v in curves)
    return essvi_w(theta, rho * psi, psi, k)


def _product(a: npt.ArrayLike, b: npt.ArrayLike) -> FloatArray:
    """Return a matrix product summed in a fixed order, so that no number depends on threads."""
    return np.asarray(np.einsum("ij,jk->ik", np.asarray(a), np.asarray(b), optimize=False))


def _covariance(centred: FloatArray) -> FloatArray:
    return _product(centred.T, centred) / (len(centred) - 1)


def _root(covariance: FloatArray) -> FloatArray:
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))
