"""A model of how correlation moves: filtered, forecast and simulated with known parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from scipy.special import ndtri

from pmkit.core.errors import ParameterError, PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.random import stream
from pmkit.core.result import Result
from pmkit.core.types import FloatArray
from pmkit.estimation.dynamic.correlation_forecast import (
    CorrelationForecast,
    approximate,
    checked_days,
    simulated,
)
from pmkit.estimation.dynamic.correlation_inputs import canonical_order, checked_residuals
from pmkit.estimation.dynamic.correlation_parameters import (
    PAPERS,
    CorrelationKind,
    check_kind,
    check_parameters,
    checked_target,
)
from pmkit.estimation.dynamic.correlation_root import apply_roots
from pmkit.estimation.dynamic.dcc_dynamics import Dynamics
from pmkit.estimation.dynamic.dcc_recursion import to_correlation
from pmkit.estimation.matrices.correlation_checks import position

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["CorrelationModel"]

#: largest path of matrices that is built without being asked twice
_MOST_BYTES = 2**31


@dataclass(frozen=True, kw_only=True, repr=False)
class CorrelationModel(Result):
    """Correlation of several standardised residual series: parameters, path, forecast and simulation.

    Attributes
    ----------
    model : {"ewma", "ccc", "dcc", "adcc", "cdcc", "deco"}
    likelihood : {"full", "composite", "none"}
        What was maximised; ``none``: nothing was.
    pairs : {"none", "contiguous", "all"}
        Pairs behind a composite likelihood; contiguous means neighbours in the order of names.
    params, std_errors : Series
        ``a, b`` (and ``g``), or ``decay``. Two-step errors; NaN where none was computed.
    covariance : DataFrame
        Of the estimated parameters; empty where none was computed.
    objective : float
        The maximised log-likelihood, less that of independent normals; NaN where nothing was maximised.
    status : {"ok", "at_bound", "not_converged", "given"}
    evaluations : int
        Of the likelihood with its score, the composite start of a full fit included.
    target : DataFrame
        What Q reverts to, and Q of the first day.
    loss_target : DataFrame or None
        Second moment of losses, asymmetric model only.
    residuals : DataFrame, shape (rows, n)
        Those that the model is filtered over.
    fitted_rows : int
        Rows behind the parameters and the target; 0 where they were given.

    Notes
    -----
    ``Q[t+1] = (1 - a - b) S - g N + a e[t] e[t]' + g n[t] n[t]' + b Q[t]`` and R is Q rescaled to a unit
    diagonal; e is the residual, in ``cdcc`` and ``deco`` the residual times the root of its own entry of Q; n
    is the residual with gains set to 0, ``adcc`` only. ``deco`` gives every pair the mean correlation.
    R of a day knows the residuals of the days before only; parameters and target know the fitted rows.
    """

    model: str
    likelihood: str
    pairs: str
    params: pd.Series
    std_errors: pd.Series
    covariance: pd.DataFrame
    objective: float
    status: str
    evaluations: int
    target: pd.DataFrame
    loss_target: pd.DataFrame | None
    residuals: pd.DataFrame
    fitted_rows: int
    provenance: Provenance = field(default_factory=lambda: Provenance(method="estimation.fit_correlation"))
    references: tuple[str, ...] = ()

    @classmethod
    def from_parameters(
        cls,
        params: Mapping[str, float] | pd.Series,
        residuals: pd.DataFrame,
        model: CorrelationKind,
        target: pd.DataFrame | FloatArray,
        *,
        loss_target: pd.DataFrame | FloatArray | None = None,
    ) -> CorrelationModel:
        """Return the model with known parameters over standardised residuals; nothing is estimated.

        Parameters
        ----------
        params : mapping or Series
            ``a, b`` (and ``g`` for ``adcc``), ``decay`` for ``ewma``, empty for ``ccc``.
        residuals : DataFrame, shape (rows, n)
            At least one row.
        model : str
        target : matrix, shape (n, n)
            Positive definite; in the order of the columns or labelled like them.
        loss_target : matrix, optional
            For ``adcc``: second moment of residuals with gains set to 0.

        Raises
        ------
        ParameterError
            A parameter is missing, unknown or outside the region in which every Q is positive definite.

        Examples
        --------
        >>> z = pd.DataFrame({"A": [1.0, 0.5], "B": [0.8, 1.0]})
        >>> known = CorrelationModel.from_parameters({"a": 0.05, "b": 0.9}, z, "cdcc", np.eye(2))
        >>> round(float(known.next_correlation.loc["A", "B"]), 6)
        0.062483
        """
        kind = check_kind(model)
        table = checked_residuals(residuals, fewest=1)
        S = checked_target(target, table.columns, "target", unit=kind in ("cdcc", "deco"))
        losses = None if loss_target is None else checked_target(loss_target, table.columns, "loss_target")
        if (losses is not None) != (kind == "adcc"):
            raise ParameterError(
                f"loss_target is {'given' if losses is not None else 'absent'} for {kind}",
                "one for adcc and none for other models",
                "take fit.loss_target of an adcc fit",
            )
        full = check_parameters(params, kind, S, losses)
        return cls(
            model=kind,
            likelihood="none",
            pairs="none",
            params=full,
            std_errors=pd.Series(math.nan, index=full.index, dtype=np.float64),
            covariance=pd.DataFrame(),
            objective=math.nan,
            status="given",
            evaluations=0,
            target=S,
            loss_target=losses,
            residuals=table,
            fitted_rows=0,
            provenance=Provenance(
                method=f"estimation.correlation {kind}, given",
                data={"residuals": fingerprint(table.to_numpy()), "target": fingerprint(S.to_numpy())},
                parameters={str(k): float(v) for k, v in full.items()},
            ),
            references=PAPERS[kind],
        )

    @property
    def names(self) -> pd.Index:
        """Assets in order."""
        return self.residuals.columns

    @property
    def persistence(self) -> float:
        """``a + b``: the share of a deviation of Q from its target that is left a day later on average."""
        if self.model == "ewma":
            return 1.0
        return float(self.params.get("a", 0.0) + self.params.get("b", 0.0))

    @cached_property
    def dynamics(self) -> Dynamics:
        """The recursion with all its numbers."""
        S = np.ascontiguousarray(self.target.to_numpy())
        p, g, constant = self.params, 0.0, np.zeros_like(S)
        if self.model == "ewma":
            a, b = 1.0 - float(p["decay"]), float(p["decay"])
        else:
            a, b = float(p.get("a", 0.0)), float(p.get("b", 0.0))
            constant = (1.0 - a - b) * S
        if self.loss_target is not None:
            g = float(p["g"])
            constant = constant - g * self.loss_target.to_numpy()
        return Dynamics(
            a=a,
            b=b,
            g=g,
            start=S,
            constant=constant,
            corrected=self.model in ("cdcc", "deco"),
            equal=self.model == "deco",
        )

    @cached_property
    def loglikelihood(self) -> float:
        """Log-likelihood of the residuals as normals of these correlations, less that of independent ones."""
        return float(np.add.reduce(self.daily_loglikelihood().to_numpy()))

    def daily_loglikelihood(self) -> pd.Series:
        """Return what each day adds to :attr:`loglikelihood`."""
        z = self.residuals.to_numpy()
        terms = self.dynamics.daily_loglikelihood(z, canonical_order(self.names))
        return pd.Series(terms, index=self.residuals.index, name="loglikelihood")

    @cached_property
    def next_state(self) -> FloatArray:
        """Q of the first day after the residuals."""
        return self.dynamics.state(self._values)

    @cached_property
    def next_correlation(self) -> pd.DataFrame:
        """Correlations of the first day after the residuals."""
        R = self.dynamics.path(self._values[:0], self.next_state)[0]
        return pd.DataFrame(R, index=self.names, columns=self.names)

    @property
    def _values(self) -> FloatArray:
        return np.ascontiguousarray(self.residuals.to_numpy())

    def filter(self, residuals: pd.DataFrame) -> CorrelationModel:
        """Return the same parameters and target over another or longer table of residuals, without a refit.

        The recursion starts at the target, so that a table that begins with the fitted one gives the same
        correlations there.
        """
        table = checked_residuals(residuals, fewest=1)
        if not table.columns.equals(self.names):
            raise ParameterError(
                f"residuals of {table.columns.tolist()[:6]}",
                f"the assets of the model in its order, {self.names.tolist()[:6]}",
                "take residuals[model.names]",
            )
        fresh = CorrelationModel.from_parameters(
            self.params,
            table,
            self.model,  # type: ignore[arg-type]
            self.target,
            loss_target=self.loss_target,
        )
        kept = ("likelihood", "pairs", "std_errors", "covariance", "status", "fitted_rows")
        changes: dict[str, Any] = {name: getattr(self, name) for name in kept}
        return CorrelationModel(**{**_fields(fresh), **changes})

    def correlation_path(self) -> FloatArray:
        """Return the correlations of every day and of the day after, shape (rows + 1, n, n).

        Raises
        ------
        ParameterError
            The path would take more than 2 GiB; filter a part of the rows, or ask for one pair.
        """
        rows, n = self.residuals.shape
        if 8 * (rows + 1) * n * n > _MOST_BYTES:
            raise ParameterError(
                f"a path of {rows + 1} x {n} x {n} numbers takes {8 * (rows + 1) * n * n / 2**30:.1f} GiB",
                "2 GiB at most",
                "ask for pair(row, column), or filter fewer rows or assets",
            )
        return self.dynamics.path(self._values)

    def pair(self, row: Any, column: Any) -> pd.Series:
        """Return the correlation of two assets on every day, known the day before."""
        i, j = position(row, self.names, "row"), position(column, self.names, "column")
        d, z = self.dynamics, self._values
        if d.equal:
            path = self.correlation_path()[:-1, i, j]
        else:
            two = np.array([i, j])
            part = Dynamics(
                a=d.a,
                b=d.b,
                g=d.g,
                start=np.ascontiguousarray(d.start[np.ix_(two, two)]),
                constant=np.ascontiguousarray(d.constant[np.ix_(two, two)]),
                corrected=d.corrected,
                equal=False,
            )
            path = part.path(np.ascontiguousarray(z[:, two]))[:-1, 0, 1]
        return pd.Series(path, index=self.residuals.index, name=f"{row}/{column}")

    def standardised_residuals(self) -> pd.DataFrame:
        """Return residuals freed of correlation: each day's inverse symmetric root of R times its residuals.

        The symmetric root makes the result of an asset independent of the order of the columns. It costs
        about 0.01 ms a day for 10 assets and 1 ms for 50, and grows with the third power.
        """
        z = self._values
        out = np.empty_like(z)
        apply_roots(self.correlation_path()[:-1], z, True, out)
        return pd.DataFrame(out, index=self.residuals.index, columns=self.names)

    def simulate(
        self, h: int, paths: int = 10_000, *, seed: int = 0, draws: FloatArray | None = None
    ) -> FloatArray:
        """Return simulated standardised residuals of the next ``h`` days, shape (paths, h, n).

        Parameters
        ----------
        h, paths : int
            Days and paths, 1 or more.
        seed : int
            Of the standard normal draws.
        draws : ndarray, shape (paths, h, n), optional
            Uncorrelated draws of mean 0 and variance 1 in their place, for example rows of
            :meth:`standardised_residuals` taken at random; ``paths`` and ``seed`` are then unused.

        Notes
        -----
        ``z[t] = R[t]^(1/2) x[t]`` with the symmetric root, and R moves with the simulated residuals.
        """
        return simulated(self.dynamics, self.next_state, self._draws(h, paths, seed, draws))[0]

    def _draws(self, h: int, paths: int, seed: int, draws: FloatArray | None) -> FloatArray:
        """Return checked draws."""
        days, n = checked_days(h), len(self.names)
        if draws is None:
            if isinstance(paths, bool) or not isinstance(paths, (int, np.integer)) or paths < 1:
                raise ParameterError(f"paths is {paths!r}", "a whole number, 1 or more", "10000 is usual")
            return stream(seed, "correlation").standard_normal((int(paths), days, n))
        x = np.ascontiguousarray(draws, dtype=np.float64)
        if x.ndim != 3 or x.shape[1:] != (days, n) or x.size == 0 or not bool(np.isfinite(x).all()):
            raise ParameterError(
                f"draws have shape {x.shape} and {int((~np.isfinite(x)).sum())} non-finite values",
                f"finite draws of shape (paths, {days}, {n})",
                "reshape them, or drop the bad rows",
            )
        return x

    def forecast(
        self,
        h: int,
        method: Literal["approximation", "simulation"] = "approximation",
        *,
        approximation: Literal["rbar", "qbar"] = "rbar",
        paths: int = 2_000,
        seed: int = 0,
    ) -> CorrelationForecast:
        """Return expected correlations of the next ``h`` days.

        Parameters
        ----------
        h : int
            Days, 1 or more.
        method : {"approximation", "simulation"}
            There is no exact formula beyond the first day.
        approximation : {"rbar", "qbar"}
            What reverts to its target at the rate ``a + b``: R itself, or Q, which is normalised afterwards.
        paths, seed : int
            Of the simulation with normal draws.

        References
        ----------
        Engle and Sheppard (2001), forecasts over several steps.
        """
        days = checked_days(h)
        if method not in ("approximation", "simulation") or approximation not in ("rbar", "qbar"):
            raise ParameterError(
                f"method is {method!r}, approximation {approximation!r}",
                "'approximation' or 'simulation'; 'rbar' or 'qbar'",
                "name one of each",
            )
        n = len(self.names)
        if method == "approximation":
            R = approximate(self.dynamics, self.dynamics.start, self.next_state, days, approximation)
            error, words = np.zeros_like(R), f"{approximation} approximation"
        else:
            _, R, error = simulated(self.dynamics, self.next_state, self._draws(days, paths, seed, None))
            words = f"simulation of {paths} paths"
        return CorrelationForecast(
            correlations=R,
            std_error=error,
            names=self.names,
            method=f"{self.model}, {words}",
            paths=paths if method == "simulation" else 0,
            provenance=Provenance(
                method=f"estimation.correlation.forecast {words}",
                data={"model": self.provenance.id},
                parameters={"h": days, "assets": n},
                seed=seed if method == "simulation" else None,
            ),
            references=("engle2001dcc", *self.references),
        )

    def confidence_interval(self, level: float = 0.95) -> pd.DataFrame:
        """Return lower and upper bounds of the parameters at a confidence level.

        The interval is symmetric in the log odds of the parameter, so that it stays between 0 and 1.
        """
        if not (isinstance(level, float) and 0.0 < level < 1.0):
            raise ParameterError(f"level is {level!r}", "above 0 and below 1", "write 0.95")
        p, z = self.params.to_numpy(), float(ndtri(0.5 + 0.5 * level))
        with np.errstate(all="ignore"):  # parameters at a bound have NaN errors, and NaN bounds
            odds, width = np.log(p / (1.0 - p)), z * self.std_errors.to_numpy() / (p * (1.0 - p))
            bounds = {
                s: 1.0 / (1.0 + np.exp(-(odds + k * width))) for s, k in (("lower", -1.0), ("upper", 1.0))
            }
        return pd.DataFrame(bounds, index=self.params.index)

    def raise_if_bad(self) -> CorrelationModel:
        """Return the model itself; raise where the fit did not converge."""
        if self.status == "not_converged":
            raise PmkitError(
                f"the {self.model} fit did not converge in {self.evaluations} evaluations",
                "status ok or at_bound",
                "check the residuals, or take the composite likelihood",
            )
        return self

    def check(self) -> None:
        """Raise where tomorrow's matrix is not positive semidefinite of unit diagonal, or Q runs away."""
        R = self.next_correlation.to_numpy()
        unit = bool((np.diag(R) == 1.0).all()) and np.array_equal(R, R.T)
        if not (unit and float(np.linalg.eigvalsh(R)[0]) >= -1e-10 and self.persistence <= 1.0):
            raise PmkitError(
                f"tomorrow's matrix is no correlation matrix, or a + b = {self.persistence:g}",
                "a symmetric, positive semidefinite matrix of unit diagonal",
                "report this as a bug",
            )

    def summary(self) -> pd.DataFrame:
        """Return one row a parameter, then persistence, the maximised value and mean correlations."""
        rows = {
            str(name): {"value": float(value), "std_error": float(error)}
            for name, value, error in zip(
                self.params.index, self.params.to_numpy(), self.std_errors.to_numpy(), strict=True
            )
        }
        i, j = np.triu_indices(len(self.names), 1)
        level = to_correlation(self.target.to_numpy())[i, j]
        extra = {
            "a + b": self.persistence,
            "maximised log-likelihood": self.objective,
            "mean target correlation": float(level.mean()),
            "mean next correlation": float(self.next_correlation.to_numpy()[i, j].mean()),
        }
        rows |= {name: {"value": value, "std_error": math.nan} for name, value in extra.items()}
        frame = pd.DataFrame.from_dict(rows, orient="index").astype(np.float64).round(8)
        size = f"{len(self.residuals)} x {len(self.names)}"
        frame.index.name = f"{self.model}, {self.likelihood} likelihood, {size}, {self.status}"
        return frame

    def to_frame(self) -> pd.DataFrame:
        """Return one row a pair: target and next correlation."""
        i, j = np.triu_indices(len(self.names), 1)
        return pd.DataFrame(
            {
                "row": self.names.take(i),
                "column": self.names.take(j),
                "target": to_correlation(self.target.to_numpy())[i, j],
                "next": self.next_correlation.to_numpy()[i, j],
            }
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the mean correlation of all pairs over the sample."""
        axes = new_axes(ax)
        i, j = np.triu_indices(len(self.names), 1)
        mean = self.correlation_path()[:-1, i, j].mean(axis=1)
        axes.plot(self.residuals.index.to_numpy(), mean)
        axes.set(xlabel="date", ylabel="mean correlation", title=f"{self.model}, {self.status}")
        return axes


def _fields(model: CorrelationModel) -> dict[str, Any]:
    """Return the fields of a model by name."""
    return {name: getattr(model, name) for name in model.__dataclass_fields__}
