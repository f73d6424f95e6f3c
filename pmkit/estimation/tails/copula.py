"""Normal and t copula on ranks, with semi-parametric margins: fit, simulate, tail dependence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from pmkit.core.errors import ParameterError, PmkitError, SchemaError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.random import stream
from pmkit.core.result import Result
from pmkit.core.types import FloatArray
from pmkit.estimation.matrices.nearest import nearest_correlation
from pmkit.estimation.matrices.rank import rank_correlation
from pmkit.estimation.panel import checked_panel, symmetric_power
from pmkit.estimation.tails.copula_errors import nu_influence
from pmkit.estimation.tails.copula_likelihood import copula_loglik, correlation_of, partials_of, quantiles
from pmkit.estimation.tails.margins import TailMargin, fit_margin
from pmkit.estimation.tails.tail_dependence import t_tail_dependence

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Copula", "fit_copula", "pseudo_observations"]

Family = Literal["t", "normal"]

#: full maximum likelihood has n (n - 1)/2 + 1 unknowns; beyond this many assets use the rank correlation
_LARGEST_ML = 6

_LOWEST_NU, _HIGHEST_NU = 1.0, 200.0


@dataclass(frozen=True, kw_only=True, repr=False)
class Copula(Result):
    """Dependence of a panel: a normal or t copula, and the margins that go with it.

    Attributes
    ----------
    family : {"t", "normal"}
    correlation : DataFrame, shape (n, n)
        Parameter of the copula.
    nu : float
        Degrees of freedom; infinite for the normal copula.
    nu_error : float
        Standard error, ranks and correlations counted as estimates; independent rows. NaN where there is
        none. Its law is skewed: quote :meth:`nu_interval`.
    loglik : float
    status : {"ok", "at_bound", "not_converged"}
    method : {"ml", "tau"}
    rows : int
    margins : mapping of label to TailMargin
        Empty where they were not asked for.
    """

    family: Family
    correlation: pd.DataFrame
    nu: float
    nu_error: float
    loglik: float
    status: str
    method: str
    rows: int
    margins: Mapping[str, TailMargin]
    provenance: Provenance = field(default_factory=lambda: Provenance(method="estimation.fit_copula"))
    references: tuple[str, ...] = ("demarta2005", "genest1995")

    @property
    def tail_dependence(self) -> pd.DataFrame:
        """Coefficient of each pair, the same in both tails; 0 for a normal copula."""
        values: FloatArray = t_tail_dependence(self.correlation.to_numpy(), self.nu)
        return pd.DataFrame(values, index=self.correlation.index, columns=self.correlation.columns)

    def nu_interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Return the interval of ``nu``, symmetric in ``1 / nu``; infinite above where 0 lies within.

        NaN on both sides where ``nu`` has no standard error.

        Raises
        ------
        ParameterError
            A confidence that does not lie between 0 and 1.
        """
        if isinstance(confidence, bool) or not isinstance(confidence, float) or not 0.0 < confidence < 1.0:
            raise ParameterError(f"confidence is {confidence!r}", "between 0 and 1", "0.95 is usual")
        from scipy.special import ndtri

        reach = float(ndtri(0.5 + 0.5 * confidence)) * self.nu_error / self.nu**2
        if math.isnan(reach):
            return math.nan, math.nan
        low, high = 1.0 / self.nu - reach, 1.0 / self.nu + reach
        return 1.0 / high, (1.0 / low if low > 0.0 else math.inf)

    def simulate(self, n: int, seed: int = 20260801) -> pd.DataFrame:
        """Return ``n`` draws of joint probabilities, strictly between 0 and 1, one column a label.

        Each label has its own stream and the root of the correlation is symmetric, so the order of the labels
        changes nothing but rounding.
        """
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise ParameterError(f"n is {n!r}", "a whole number of draws, 1 or more", "correct it")
        from scipy.special import ndtr, stdtr

        names = self.correlation.index
        raw = np.column_stack([stream(seed, "copula", str(name)).standard_normal(n) for name in names])
        root = symmetric_power(self.correlation.to_numpy(), 0.5)
        z = np.add.reduce(raw[:, None, :] * root[None, :, :], axis=2)
        if math.isinf(self.nu):
            u = np.asarray(ndtr(z), dtype=np.float64)
        else:
            mixing = stream(seed, "copula", "mixing").chisquare(self.nu, n) / self.nu
            u = np.asarray(stdtr(self.nu, z / np.sqrt(mixing)[:, None]), dtype=np.float64)
        tiny = np.finfo(np.float64).eps
        return pd.DataFrame(np.clip(u, tiny, 1.0 - tiny), columns=names)

    def simulate_returns(
        self, n: int, seed: int = 20260801, *, sigma: pd.Series | None = None
    ) -> pd.DataFrame:
        """Return ``n`` joint draws in the unit of the fitted panel, or times ``sigma`` of each label.

        With standardised residuals as the panel and the next day's volatilities as ``sigma`` these are
        simulated returns of the next day, mean left out.

        Raises
        ------
        ParameterError
            The copula was fitted without margins, or ``sigma`` is not positive for each label.
        """
        if not self.margins:
            raise ParameterError("the copula has no margins", "fit_copula(margins=True)", "fit it again")
        u = self.simulate(n, seed)
        out = pd.DataFrame({name: self.margins[str(name)].quantile(u[name].to_numpy()) for name in u.columns})
        if sigma is None:
            return out
        if not isinstance(sigma, pd.Series) or not set(out.columns) <= set(sigma.index):
            raise ParameterError("sigma lacks a label", f"one of each of {list(out.columns)[:6]}", "add it")
        scale = sigma.loc[out.columns].to_numpy(dtype=np.float64)
        if not (np.isfinite(scale).all() and bool((scale > 0.0).all())):
            raise ParameterError("a sigma is not positive", "positive volatilities", "correct it")
        return out * scale

    def check(self) -> None:
        """Raise where the correlation is not positive definite of unit diagonal, or nu out of range."""
        R = self.correlation.to_numpy()
        good = bool((np.diag(R) == 1.0).all()) and float(np.linalg.eigvalsh(R)[0]) > 0.0 and self.nu > 0.0
        if not good:
            raise PmkitError(
                "the copula is not one", "a positive definite correlation", "report this as a bug"
            )

    def to_frame(self) -> pd.DataFrame:
        """Return one row a pair: correlation, Kendall's tau it implies, tail dependence."""
        i, j = np.triu_indices(len(self.correlation), 1)
        names, R = self.correlation.index, self.correlation.to_numpy()[i, j]
        return pd.DataFrame(
            {
                "row": names.take(i),
                "column": names.take(j),
                "correlation": R,
                "tau": 2.0 / math.pi * np.arcsin(R),
                "tail_dependence": self.tail_dependence.to_numpy()[i, j],
            }
        )

    def summary(self) -> pd.DataFrame:
        """Return the pairs, eight decimals at most."""
        frame = self.to_frame().round(8)
        df = "" if math.isinf(self.nu) else f", nu {self.nu:.6g}"
        frame.index.name = (
            f"{self.family} copula{df}, {self.rows} rows, loglik {self.loglik:.8g}, {self.status}"
        )
        return frame

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with 2,000 simulated joint probabilities of the first two labels."""
        axes = new_axes(ax)
        u = self.simulate(2000, 1)
        axes.plot(u.iloc[:, 0], u.iloc[:, 1], ".", markersize=2.0)
        axes.set(xlabel=str(u.columns[0]), ylabel=str(u.columns[1]), title=f"{self.family} copula, simulated")
        return axes


def pseudo_observations(returns: pd.DataFrame) -> pd.DataFrame:
    """Return ranks over ``T + 1``, strictly between 0 and 1, one column an asset; ties share the mean rank.

    Examples
    --------
    >>> pseudo_observations(pd.DataFrame({"A": [0.03, 0.01, 0.02]}))["A"].tolist()
    [0.75, 0.25, 0.5]
    """
    from scipy.stats import rankdata

    if not isinstance(returns, pd.DataFrame) or not np.isfinite(returns.to_numpy(dtype=np.float64)).all():
        raise SchemaError("returns are no frame of finite numbers", "one column an asset", "repair the gaps")
    ranks = rankdata(returns.to_numpy(dtype=np.float64), axis=0)
    return pd.DataFrame(ranks / (len(returns) + 1.0), index=returns.index, columns=returns.columns)


def fit_copula(
    returns: pd.DataFrame,
    family: Family = "t",
    *,
    method: Literal["tau", "ml"] = "tau",
    margins: bool = True,
    tail_share: float = 0.10,
) -> Copula:
    """Return the normal or t copula fitted to the ranks of a panel, with Pareto-tailed margins.

    Joint resampling of residual days (:func:`pmkit.scenarios.joint_filtered`) needs no copula; use this one
    as a control, or where more tail scenarios are wanted than history has days.

    Parameters
    ----------
    returns : DataFrame, shape (T, n)
        Standardised residuals or decimal returns, no gap, at least 100 rows, no collinear columns.
    family : {"t", "normal"}
    method : {"tau", "ml"}
        ``tau``: correlations from Kendall's tau by the sine map, repaired where needed, and ``nu`` by maximum
        likelihood, any number of assets. ``ml``: all parameters together, up to 6 assets.
    margins : bool
        Whether to fit margins, which simulated returns need.
    tail_share : float
        Of each margin's tails.

    Returns
    -------
    Copula

    Raises
    ------
    SchemaError, ParameterError, DataGapError
        As for other panels; unknown words; ``ml`` for more than 6 assets.

    Notes
    -----
    Canonical maximum likelihood: ranks over ``T + 1`` take the place of the margins. ``nu`` is sought from 1
    to 200; at either end the status is ``at_bound``.

    References
    ----------
    Genest, Ghoudi and Rivest (1995); Demarta and McNeil (2005).

    Examples
    --------
    >>> from pmkit.core.random import stream
    >>> z, w = stream(5, "demo").standard_normal((500, 2)), stream(5, "mixing").chisquare(4.0, (500, 1))
    >>> fitted = fit_copula(pd.DataFrame(0.01 * z / np.sqrt(w / 4.0), columns=["A", "B"]), margins=False)
    >>> fitted.status, bool(2.0 < fitted.nu < 8.0)
    ('ok', True)
    """
    if family not in ("t", "normal") or method not in ("tau", "ml"):
        raise ParameterError(
            f"family is {family!r}, method {method!r}", "'t' or 'normal', 'tau' or 'ml'", "name one of each"
        )
    values, names = checked_panel(returns, fewest=100, least_columns=2, collinear=False)
    n = values.shape[1]
    if method == "ml" and n > _LARGEST_ML:
        raise ParameterError(f"{n} assets with method 'ml'", f"at most {_LARGEST_ML}", "take method='tau'")
    u = pseudo_observations(returns).to_numpy()
    R = rank_correlation(returns, "kendall").correlation.to_numpy()
    if float(np.linalg.eigvalsh(R)[0]) < 1e-6:
        R = np.asarray(nearest_correlation(R).matrix)
        R = (1.0 - 1e-4) * R + 1e-4 * np.eye(n)
    nu, status = (math.inf, "ok") if family == "normal" else _best_nu(u, R)
    if method == "ml":
        R, nu, status = _full(u, R, nu, status)
    own = {str(name): fit_margin(returns[name], tail_share) for name in names} if margins else {}
    return Copula(
        family=family,
        correlation=pd.DataFrame(R, index=names, columns=names),
        nu=nu,
        nu_error=_nu_error(u, R, nu, method) if status == "ok" else math.nan,
        loglik=copula_loglik(quantiles(u, nu), R, nu),
        status=status,
        method=method,
        rows=len(u),
        margins=own,
        provenance=Provenance(
            method=f"estimation.fit_copula {family}",
            data={"returns": fingerprint(returns.to_numpy(dtype=np.float64))},
            parameters={"method": method, "tail_share": tail_share if margins else None},
        ),
    )


def _best_nu(u: FloatArray, R: FloatArray) -> tuple[float, str]:
    from scipy.optimize import minimize_scalar

    def loss(log_nu: float) -> float:
        nu = math.exp(log_nu)
        return -copula_loglik(quantiles(u, nu), R, nu)

    low, high = math.log(_LOWEST_NU), math.log(_HIGHEST_NU)
    found = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-9})
    nu = math.exp(float(found.x))
    return nu, "at_bound" if min(found.x - low, high - found.x) < 1e-4 else "ok"


def _full(u: FloatArray, R: FloatArray, nu: float, status: str) -> tuple[FloatArray, float, str]:
    from scipy.optimize import minimize

    n = len(R)
    free_nu = not math.isinf(nu) and status == "ok"
    fixed = None if free_nu else quantiles(u, nu)

    def loss(theta: FloatArray) -> float:
        df = math.exp(min(max(float(theta[-1]), 0.0), math.log(_HIGHEST_NU))) if free_nu else nu
        x = quantiles(u, df) if fixed is None else fixed
        return -copula_loglik(x, correlation_of(theta, n), df) / len(u)

    start = np.append(partials_of(R), math.log(nu)) if free_nu else partials_of(R)
    found = minimize(loss, start, method="BFGS", options={"gtol": 1e-7})
    # BFGS stops for lack of precision at the optimum too: a second start from there tells
    again = minimize(
        loss, found.x, method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-14, "maxiter": 4000}
    )
    settled = bool(np.abs(again.x - found.x).max() < 1e-3)
    theta = again.x if again.fun < found.fun else found.x
    best = math.exp(float(theta[-1])) if free_nu else nu
    if not settled:
        return correlation_of(theta, n), best, "not_converged"
    return correlation_of(theta, n), best, status


def _nu_error(u: FloatArray, R: FloatArray, nu: float, method: str) -> float:
    if math.isinf(nu):
        return math.nan
    moved = nu_influence(u, R, nu, method)
    return math.sqrt(float(np.add.reduce(moved * moved))) / len(moved)
