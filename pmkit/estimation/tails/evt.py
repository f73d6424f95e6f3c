"""Peaks over threshold: VaR and ES from the generalised Pareto law of the largest losses, with errors."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError, PmkitError, SchemaError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.result import Result
from pmkit.core.types import FloatArray
from pmkit.estimation.tails.gpd import fit_excesses, growth, likelihood, quantile_and_mean
from pmkit.estimation.tails.gpd_profile import FittedLaw, profile_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["GpdTail", "fit_gpd", "hill", "threshold_table"]

_FEWEST_EXCESSES = 20


@dataclass(frozen=True, kw_only=True, repr=False)
class GpdTail(Result):
    """Generalised Pareto law of the losses above a threshold, in the unit of the losses.

    Attributes
    ----------
    threshold : float
    shape, scale : float
        ``xi`` and ``beta``; the tail has moments of order below ``1 / xi``.
    covariance : ndarray, shape (2, 2)
        Of shape and scale, from the observed information; NaN where the shape is at its bound.
    rows, excesses : int
        Losses, and those strictly above the threshold.
    negative_loglik : float
    status : {"ok", "at_bound", "not_converged"}
    flags : tuple of str
        What a reader must know: an infinite mean or variance of the tail.
    losses : ndarray
        The excesses over the threshold, ascending.
    """

    threshold: float
    shape: float
    scale: float
    covariance: FloatArray
    rows: int
    excesses: int
    negative_loglik: float
    status: str
    flags: tuple[str, ...]
    losses: FloatArray
    provenance: Provenance = field(default_factory=lambda: Provenance(method="estimation.fit_gpd"))
    references: tuple[str, ...] = ("mcneil2000", "grimshaw1993")

    @property
    def share(self) -> float:
        """Share of the losses above the threshold."""
        return self.excesses / self.rows

    @property
    def std_errors(self) -> tuple[float, float]:
        """Standard errors of shape and scale."""
        root = np.sqrt(np.diag(self.covariance))
        return float(root[0]), float(root[1])

    def _level(self, level: float) -> float:
        if isinstance(level, bool) or not isinstance(level, (int, float)) or not 0.5 <= level < 1.0:
            raise ParameterError(f"level is {level!r}", "the confidence level, such as 0.99", "correct it")
        if 1.0 - level > self.share + 1e-12:
            raise ParameterError(
                f"level {level:g} lies below the threshold: {self.share:.3%} of the losses exceed it",
                f"a level of {1.0 - self.share:.4f} or more",
                "lower the threshold, or take the empirical quantile",
            )
        return float(level)

    def var(self, level: float = 0.99) -> float:
        """Return the value at risk at ``level``, the unit of the losses."""
        return quantile_and_mean(self.threshold, self.shape, self.scale, self.share, self._level(level))[0]

    def es(self, level: float = 0.975) -> float:
        """Return the expected shortfall at ``level``; infinite for shapes of 1 or more."""
        return quantile_and_mean(self.threshold, self.shape, self.scale, self.share, self._level(level))[1]

    def std_error(self, level: float = 0.99) -> tuple[float, float]:
        """Return the delta-method standard errors of VaR and ES for independent losses.

        The number of excesses counts as binomial beside shape and scale. Two errors either side of ES cover
        less than their nominal probability, because the estimate is skewed: :meth:`profile` gives intervals.
        """
        _, _, d_var, d_es = quantile_and_mean(
            self.threshold, self.shape, self.scale, self.share, self._level(level)
        )
        full = np.zeros((3, 3))
        full[:2, :2] = self.covariance
        full[2, 2] = self.share * (1.0 - self.share) / self.rows
        return tuple(math.sqrt(float(d @ full @ d)) for d in (d_var, d_es))  # type: ignore[return-value]

    def profile(
        self, level: float = 0.99, confidence: float = 0.95
    ) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return the profile-likelihood intervals of VaR and of ES, the unit of the losses.

        They are wider upwards than downwards, which a standard error cannot say; shape, scale and the share
        of losses above the threshold are all free. An upper limit that the likelihood does not bound is
        infinite.

        Raises
        ------
        ParameterError
            A level or confidence out of range, or a fit without a regular maximum.
        """
        self._level(level)
        if not 0.0 < confidence < 1.0:
            raise ParameterError(f"confidence is {confidence!r}", "between 0 and 1", "0.95 is usual")
        if self.status != "ok":
            raise ParameterError(
                f"the fit has status {self.status}", "a regular maximum", "choose another threshold"
            )
        var = profile_interval(self._law, level, confidence, mean=False)
        if not self.shape < 1.0:
            return var, (math.nan, math.inf)
        return var, profile_interval(self._law, level, confidence, mean=True)

    @property
    def _law(self) -> FittedLaw:
        return FittedLaw(self.threshold, self.shape, self.scale, self.rows, self.losses)

    def check(self) -> None:
        """Raise where ES lies below VaR or the likelihood does not recompute."""
        level = 1.0 - 0.5 * self.share
        same = math.isclose(
            likelihood(self.shape, self.scale, self.losses), self.negative_loglik, rel_tol=1e-9, abs_tol=1e-9
        )
        if not (same and self.es(max(level, 0.5)) >= self.var(max(level, 0.5)) >= self.threshold):
            raise PmkitError(
                "likelihood or order of VaR and ES", "ES >= VaR >= threshold", "report this as a bug"
            )

    def summary(self) -> pd.DataFrame:
        """Return shape, scale, VaR and ES at three levels with standard errors."""
        errors = self.std_errors
        rows = {"xi": (self.shape, errors[0]), "beta": (self.scale, errors[1])}
        for level in (0.99, 0.995, 0.999):
            if 1.0 - level <= self.share:
                se = self.std_error(level)
                rows[f"VaR {level:g}"] = (self.var(level), se[0])
                rows[f"ES {level:g}"] = (self.es(level), se[1])
        frame = pd.DataFrame.from_dict(rows, orient="index", columns=["value", "std_error"])
        frame.index.name = f"{self.excesses} of {self.rows} losses above {self.threshold:.6g}, {self.status}"
        return frame

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the ordered excesses against the quantiles of the fitted law."""
        axes = new_axes(ax)
        p = (np.arange(self.excesses) + 0.5) / self.excesses
        fitted = [self.scale * growth(self.shape, -math.log1p(-float(x)))[0] for x in p]
        axes.plot(fitted, self.losses, ".")
        axes.axline((0.0, 0.0), slope=1.0, linewidth=0.8)
        axes.set(xlabel="excess, fitted law", ylabel="excess, observed", title=f"xi {self.shape:.3f}")
        return axes


def fit_gpd(
    losses: pd.Series | FloatArray | Iterable[float],
    *,
    threshold: float | None = None,
    tail_share: float | None = None,
) -> GpdTail:
    """Return the generalised Pareto law fitted by maximum likelihood to the losses above a threshold.

    Parameters
    ----------
    losses : Series or array, shape (n,)
        Losses, positive for a loss, any unit; at least 50 with 20 above the threshold.
    threshold : float, optional
        In the unit of the losses.
    tail_share : float, optional
        Share of the losses above the threshold, which is then the largest loss outside them; 0.10 where
        neither is given.

    Returns
    -------
    GpdTail

    Raises
    ------
    SchemaError
        Not a series of numbers.
    ParameterError
        NaN, infinity, constant losses, prices instead of losses, both or a wrong threshold.
    DataGapError
        Fewer than 20 excesses.

    Notes
    -----
    For an excess y, ``P(Y > y) = (1 + xi y / beta)^(-1/xi)``; with ``a = (n / N_u)(1 - level)``,
    ``VaR = u + beta/xi (a^-xi - 1)`` and ``ES = (VaR + beta - xi u)/(1 - xi)``. Standard errors take the
    losses as independent: filter returns first (:func:`conditional_tail`) or read them as too small.

    References
    ----------
    McNeil and Frey (2000), section 2; Grimshaw (1993).

    Examples
    --------
    >>> x = (1.0 - (np.arange(2000) + 0.5) / 2000) ** -0.25
    >>> round(fit_gpd(x, tail_share=0.1).shape, 2)
    0.24
    """
    x = checked_losses(losses, fewest=50)
    if threshold is not None and tail_share is not None:
        raise ParameterError("threshold and tail_share are both given", "one of the two", "drop one")
    if threshold is None:
        share = 0.10 if tail_share is None else tail_share
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0.0 < share <= 0.5:
            raise ParameterError(f"tail_share is {share!r}", "above 0 and at most 0.5", "0.1 is usual")
        count = math.floor(share * x.size + 1e-9)
        u = float(np.sort(x)[x.size - count - 1])
    else:
        if isinstance(threshold, bool) or not math.isfinite(threshold):
            raise ParameterError(f"threshold is {threshold!r}", "a finite number", "correct it")
        u = float(threshold)
    y = np.sort(x[x > u] - u)
    if y.size < _FEWEST_EXCESSES:
        raise DataGapError(
            f"{y.size} of {x.size} losses above the threshold {u:.6g}",
            f"at least {_FEWEST_EXCESSES}",
            "lower the threshold or take a longer sample",
        )
    if float(np.ptp(y)) == 0.0:
        raise ParameterError(f"all {y.size} excesses equal {y[0]:g}", "losses that vary", "check the data")
    shape, scale, covariance, status = fit_excesses(y)
    flags = []
    if shape >= 1.0:
        flags.append(f"xi = {shape:.3f}: the tail has no mean, so ES is infinite")
    elif shape >= 0.5:
        flags.append(f"xi = {shape:.3f}: the tail has no variance, so moment-based errors do not hold")
    if status == "at_bound":
        flags.append(f"xi = {shape:.3f}: a tail that ends; standard errors have no meaning")
    return GpdTail(
        threshold=u,
        shape=shape,
        scale=scale,
        covariance=covariance,
        rows=x.size,
        excesses=y.size,
        negative_loglik=likelihood(shape, scale, y),
        status=status,
        flags=tuple(flags),
        losses=y,
        provenance=Provenance(
            method="estimation.fit_gpd",
            data={"losses": fingerprint(x)},
            parameters={"threshold": u, "given": threshold, "tail_share": tail_share},
        ),
    )


def hill(losses: pd.Series | FloatArray | Iterable[float], k: int | Iterable[int]) -> pd.DataFrame:
    """Return Hill's estimate of the tail shape xi from the ``k`` largest losses, one row a ``k``.

    Parameters
    ----------
    losses : Series or array, shape (n,)
        The ``k + 1`` largest must be positive.
    k : int or iterable of int
        2 or more and below n.

    Returns
    -------
    DataFrame
        Index ``k``: ``xi``, ``std_error`` (``xi / sqrt(k)``, independent losses), ``threshold``.

    Raises
    ------
    ParameterError
        ``k`` out of range, or a loss among the largest that is not positive.

    Notes
    -----
    ``xi = mean over the k largest of ln(x / x[k+1])``.

    References
    ----------
    Hill (1975).

    Examples
    --------
    >>> hill([8.0, 4.0, 2.0, 1.0, 0.5], 2).round(4)["xi"].tolist()
    [1.0397]
    """
    x = np.sort(checked_losses(losses, fewest=3))[::-1]
    asked = [k] if isinstance(k, (int, np.integer)) else list(k)
    rows: dict[int, dict[str, float]] = {}
    for one in asked:
        if isinstance(one, bool) or not isinstance(one, (int, np.integer)) or not 2 <= one < x.size:
            raise ParameterError(f"k is {one!r}", f"a whole number from 2 to {x.size - 1}", "correct it")
        base = float(x[one])
        if base <= 0.0:
            raise ParameterError(
                f"loss number {one + 1} from the top is {base:g}", "positive losses", "take a smaller k"
            )
        xi = float(np.add.reduce(np.log(x[:one] / base))) / one
        rows[int(one)] = {"xi": xi, "std_error": xi / math.sqrt(one), "threshold": base}
    frame = pd.DataFrame.from_dict(rows, orient="index")
    frame.index.name = "k"
    return frame


def threshold_table(
    losses: pd.Series | FloatArray | Iterable[float],
    tail_shares: Iterable[float] = (0.02, 0.04, 0.06, 0.08, 0.10, 0.12, 0.15),
    level: float = 0.99,
) -> pd.DataFrame:
    """Return how the fit depends on the threshold, one row a tail share, in the unit of the losses.

    Parameters
    ----------
    losses : Series or array
    tail_shares : iterable of float
        Each at least ``1 - level``.
    level : float

    Returns
    -------
    DataFrame
        ``threshold, excesses, mean_excess, xi, xi_error, var, var_error, es, es_error, status`` by share.

    Raises
    ------
    SchemaError, ParameterError, DataGapError
        As :func:`fit_gpd`.

    Examples
    --------
    >>> x = (1.0 - (np.arange(2000) + 0.5) / 2000) ** -0.25
    >>> threshold_table(x, [0.05, 0.1])["excesses"].tolist()
    [100, 200]
    """
    rows: dict[float, dict[str, Any]] = {}
    for share in tail_shares:
        fit = fit_gpd(losses, tail_share=share)
        errors = fit.std_error(level)
        rows[float(share)] = {
            "threshold": fit.threshold,
            "excesses": fit.excesses,
            "mean_excess": float(np.mean(fit.losses)),
            "xi": fit.shape,
            "xi_error": fit.std_errors[0],
            "var": fit.var(level),
            "var_error": errors[0],
            "es": fit.es(level),
            "es_error": errors[1],
            "status": fit.status,
        }
    frame = pd.DataFrame.from_dict(rows, orient="index")
    frame.index.name = "tail_share"
    return frame


def checked_losses(losses: Any, *, fewest: int) -> FloatArray:
    """Return losses as a finite array of one dimension; refuses series that look like prices."""
    try:
        x = np.array(
            losses if isinstance(losses, (pd.Series, np.ndarray)) else list(losses), dtype=np.float64
        )
    except (TypeError, ValueError):
        raise SchemaError(
            f"losses are a {type(losses).__name__}", "a series of numbers", "pass -returns of one asset"
        ) from None
    if x.ndim != 1:
        raise SchemaError(f"losses have shape {x.shape}", "one dimension", "choose one column")
    bad = np.flatnonzero(~np.isfinite(x))
    if bad.size:
        raise ParameterError(
            f"{bad.size} losses not finite, first {x[bad[0]]} in row {bad[0]}",
            "finite losses",
            "repair the gaps",
        )
    if x.size < fewest:
        raise DataGapError(f"{x.size} losses", f"at least {fewest}", "take a longer sample")
    if float(np.ptp(x)) == 0.0:
        raise ParameterError(f"all {x.size} losses equal {x[0]:g}", "losses that vary", "check the data")
    if x.size >= 50 and float(x.min()) > 0.0 and float(np.median(x)) > 10.0:
        raise ParameterError(
            f"every loss is positive and half of them exceed {np.median(x):g}: these look like prices",
            "losses, positive for a loss and negative for a gain",
            "take -np.log(prices).diff().dropna()",
        )
    return x
