"""Do assets crash together: tail dependence as measured, and as a normal or t copula implies it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from pmkit.core.errors import ParameterError, PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.random import stream
from pmkit.core.result import Result
from pmkit.core.types import FloatArray
from pmkit.estimation.bootstrap import stationary_blocks
from pmkit.estimation.matrices.rank import rank_correlation
from pmkit.estimation.panel import checked_panel, cross_moment

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["TailDependence", "t_tail_dependence", "tail_dependence"]


def t_tail_dependence(rho: npt.ArrayLike, nu: npt.ArrayLike) -> FloatArray:
    """Return the tail dependence coefficient of the t copula, a probability from 0 to 1.

    Parameters
    ----------
    rho : array_like
        Correlation parameter, from -1 to 1; broadcast with ``nu``.
    nu : array_like
        Degrees of freedom, above 0; infinity is the normal copula, 0 for correlations below 1.

    Returns
    -------
    ndarray
        NaN where an argument is NaN.

    Raises
    ------
    ParameterError
        A value out of range.

    Notes
    -----
    ``2 t_{nu+1}(-sqrt((nu + 1)(1 - rho)/(1 + rho)))``, the same in the lower and in the upper tail.

    References
    ----------
    Demarta and McNeil (2005).

    Examples
    --------
    >>> t_tail_dependence([-0.5, 0.0, 0.5, 0.9], 4.0).round(4).tolist()
    [0.0117, 0.0756, 0.2532, 0.6298]
    """
    from scipy.special import stdtr

    try:
        r, df = np.broadcast_arrays(np.asarray(rho, dtype=np.float64), np.asarray(nu, dtype=np.float64))
    except (TypeError, ValueError):
        raise ParameterError(
            f"rho is a {type(rho).__name__} and nu a {type(nu).__name__} that do not go together",
            "numbers, or arrays of shapes that broadcast",
            "correct the arguments",
        ) from None
    if bool((np.abs(r) > 1.0).any()) or bool((df <= 0.0).any()):
        raise ParameterError(
            "a correlation beyond [-1, 1] or degrees of freedom of 0 or less",
            "-1 <= rho <= 1 and nu > 0",
            "correct the arguments",
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        at = -np.sqrt((df + 1.0) * (1.0 - r) / (1.0 + r))
        out = 2.0 * stdtr(np.where(np.isinf(df), 1.0, df + 1.0), at)
        out = np.where(np.isinf(df), np.where(r == 1.0, 1.0, 0.0), np.where(r == -1.0, 0.0, out))
    return np.asarray(np.where(np.isnan(r) | np.isnan(df), np.nan, out))


def normal_joint_tail(rho: npt.ArrayLike, share: float) -> FloatArray:
    """Return ``P(V <= q | U <= q)`` of the normal copula at ``q = share``, by quadrature over the angle.

    Examples
    --------
    >>> normal_joint_tail([0.0, 1.0], 0.05).round(6).tolist()
    [0.05, 1.0]
    """
    from scipy.special import ndtri

    r = np.asarray(rho, dtype=np.float64)
    h2 = float(ndtri(share)) ** 2
    nodes, weights = np.polynomial.legendre.leggauss(64)
    top = np.arcsin(np.clip(r, -1.0, 1.0))[..., None]
    theta = 0.5 * top * (nodes + 1.0)
    part = 0.5 * top[..., 0] * np.add.reduce(weights * np.exp(-h2 / (1.0 + np.sin(theta))), axis=-1)
    return np.asarray((share**2 + part / (2.0 * math.pi)) / share)


@dataclass(frozen=True, kw_only=True, repr=False)
class TailDependence(Result):
    """How often one asset is in its tail when the other is, pair by pair, beside the normal copula.

    Attributes
    ----------
    coefficient, std_error, normal : DataFrame, shape (n, n)
        Measured ``P(V in tail | U in tail)``, its bootstrap error, and what a normal copula of the same
        Kendall's tau gives at the same share.
    share : float
        Part of the days that make up each asset's tail.
    tail : {"lower", "upper"}
    rows, tail_rows : int
        Days, and days in each tail.
    """

    coefficient: pd.DataFrame
    std_error: pd.DataFrame
    normal: pd.DataFrame
    share: float
    tail: str
    rows: int
    tail_rows: int
    provenance: Provenance = field(default_factory=lambda: Provenance(method="estimation.tail_dependence"))
    references: tuple[str, ...] = ("mcneil2015", "politis1994")

    def check(self) -> None:
        """Raise where a coefficient is no probability."""
        x = self.coefficient.to_numpy()
        if not bool(((x >= 0.0) & (x <= 1.0)).all()):
            raise PmkitError("a coefficient is no probability", "0 to 1", "report this as a bug")

    def to_frame(self) -> pd.DataFrame:
        """Return one row a pair: measured, standard error, normal copula."""
        i, j = np.triu_indices(len(self.coefficient), 1)
        names = self.coefficient.index
        parts = {"coefficient": self.coefficient, "std_error": self.std_error, "normal": self.normal}
        return pd.DataFrame(
            {"row": names.take(i), "column": names.take(j)}
            | {key: frame.to_numpy()[i, j] for key, frame in parts.items()}
        )

    def summary(self) -> pd.DataFrame:
        """Return the pairs, eight decimals at most."""
        frame = self.to_frame().round(8)
        frame.index.name = f"{self.tail} tail, worst {self.share:.3g} of {self.rows} days ({self.tail_rows})"
        return frame

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with measured and normal-copula coefficients of each pair."""
        axes = new_axes(ax)
        frame = self.to_frame()
        at = np.arange(len(frame))
        axes.errorbar(
            frame["coefficient"], at, xerr=2.0 * frame["std_error"], fmt="o", label="measured, 2 se"
        )
        axes.plot(frame["normal"], at, "x", label="normal copula")
        axes.set_yticks(at, [f"{a}, {b}" for a, b in zip(frame["row"], frame["column"], strict=True)])
        axes.set(xlabel="P(both in tail) / P(one in tail)", title=f"{self.tail} tail, share {self.share:g}")
        axes.legend()
        return axes


def tail_dependence(
    returns: pd.DataFrame,
    share: float = 0.05,
    *,
    tail: Literal["lower", "upper"] = "lower",
    replicates: int = 500,
    mean_block: float = 20.0,
    seed: int = 20260801,
) -> TailDependence:
    """Return the measured tail dependence of each pair at a share of the days, with its error.

    Parameters
    ----------
    returns : DataFrame, shape (T, n)
        Decimal returns or standardised residuals, no gap.
    share : float
        Part of the days in each tail, above 0 and at most 0.25; at least 10 days.
    tail : {"lower", "upper"}
    replicates, mean_block, seed : int, float, int
        Of the block bootstrap; ranks are taken anew in each replicate.

    Returns
    -------
    TailDependence

    Raises
    ------
    SchemaError, ParameterError, DataGapError
        As for other panels; a share that leaves fewer than 10 days.

    Notes
    -----
    Days in both tails over days in one. It is the limit for ``share`` to 0 that is called tail dependence; at
    a finite share a normal copula of correlation below 1, whose limit is 0, gives a positive number too, so
    that number stands beside it.

    References
    ----------
    McNeil, Frey and Embrechts (2015), chapter 7.

    Examples
    --------
    >>> r = pd.DataFrame({"A": np.sin(np.arange(400.0)) / 50})
    >>> r["B"] = 2.0 * r["A"]
    >>> float(tail_dependence(r, replicates=10).coefficient.loc["A", "B"])
    1.0
    """
    if tail not in ("lower", "upper"):
        raise ParameterError(f"tail is {tail!r}", "'lower' or 'upper'", "name one of the two")
    if isinstance(replicates, bool) or not isinstance(replicates, int) or replicates < 2:
        raise ParameterError(f"replicates is {replicates!r}", "a whole number, 2 or more", "500 is usual")
    values, names = checked_panel(returns, fewest=40, least_columns=2)
    count = math.floor(share * len(values) + 1e-9) if 0.0 < share <= 0.25 else 0
    if count < 10:
        raise ParameterError(
            f"share {share!r} of {len(values)} days leaves {count} in the tail",
            "a share up to 0.25 with at least 10 days",
            "raise the share or take a longer history",
        )
    signed = values if tail == "lower" else -values
    coefficient = _joint(signed, count)
    draws = np.empty((replicates, *coefficient.shape))
    for k in range(replicates):
        draws[k] = _joint(signed[stationary_blocks(len(values), mean_block, stream(seed, "tails", k))], count)
    linear = rank_correlation(returns, "kendall").correlation.to_numpy()

    def frame(x: FloatArray) -> pd.DataFrame:
        return pd.DataFrame(x, index=names, columns=names)

    parameters: dict[str, Any] = {
        "share": share,
        "tail": tail,
        "replicates": replicates,
        "mean_block": mean_block,
    }
    return TailDependence(
        coefficient=frame(coefficient),
        std_error=frame(draws.std(axis=0, ddof=1)),
        normal=frame(normal_joint_tail(linear, count / len(values))),
        share=count / len(values),
        tail=tail,
        rows=len(values),
        tail_rows=count,
        provenance=Provenance(
            method="estimation.tail_dependence",
            data={"returns": fingerprint(values)},
            parameters=parameters,
            seed=seed,
        ),
    )


def _joint(x: FloatArray, count: int) -> FloatArray:
    """Return days in both tails over ``count``; ties beyond the tail are left out, oldest first."""
    inside = np.zeros(x.shape)
    for column in range(x.shape[1]):
        inside[np.argsort(x[:, column], kind="stable")[:count], column] = 1.0
    return cross_moment(inside) / count
