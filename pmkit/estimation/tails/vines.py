"""Vine copula of a panel, through ``pyvinecopulib``: a control for the t copula, not the default."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmkit.core.errors import ParameterError, PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.random import stream
from pmkit.core.result import Result
from pmkit.estimation.panel import checked_panel, optional_module
from pmkit.estimation.tails.copula import pseudo_observations

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["VineCopula", "fit_vine"]

_FAMILIES = ("indep", "gaussian", "student", "clayton", "gumbel", "frank", "joe")


@dataclass(frozen=True, kw_only=True, repr=False)
class VineCopula(Result):
    """A regular vine: pairs of bivariate copulas, tree by tree.

    Attributes
    ----------
    names : tuple of str
    engine : pyvinecopulib.Vinecop
        The fitted object of the library.
    pairs : DataFrame
        One row a pair copula: ``tree, edge, family, rotation, parameters, tau``.
    loglik, aic : float
    rows : int
    """

    names: tuple[str, ...]
    engine: Any
    pairs: pd.DataFrame
    loglik: float
    aic: float
    rows: int
    provenance: Provenance = field(default_factory=lambda: Provenance(method="estimation.fit_vine"))
    references: tuple[str, ...] = ("dissmann2013",)

    def simulate(self, n: int, seed: int = 20260801) -> pd.DataFrame:
        """Return ``n`` draws of joint probabilities, strictly between 0 and 1, one column a label."""
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise ParameterError(f"n is {n!r}", "a whole number of draws, 1 or more", "correct it")
        seeds = stream(seed, "vine").integers(1, 2**31 - 1, size=5).tolist()
        draw = getattr(self.engine, "sample", None) or self.engine.simulate  # renamed in release 1.0
        u = np.asarray(draw(n, num_threads=1, seeds=seeds), dtype=np.float64)
        tiny = np.finfo(np.float64).eps
        return pd.DataFrame(np.clip(u, tiny, 1.0 - tiny), columns=list(self.names))

    def check(self) -> None:
        """Raise where the number of pair copulas is not ``n (n - 1)/2`` or the likelihood not finite."""
        n = len(self.names)
        if len(self.pairs) != n * (n - 1) // 2 or not math.isfinite(self.loglik):
            raise PmkitError(f"{len(self.pairs)} pair copulas", f"{n * (n - 1) // 2}", "report this as a bug")

    def summary(self) -> pd.DataFrame:
        """Return the pair copulas, tree by tree."""
        frame = self.pairs.copy()
        frame["tau"] = frame["tau"].round(8)
        frame.index.name = f"vine of {len(self.names)}, {self.rows} rows, loglik {self.loglik:.8g}"
        return frame

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the absolute Kendall's tau of each pair copula by tree."""
        axes = new_axes(ax)
        axes.plot(self.pairs["tree"], self.pairs["tau"].abs(), "o")
        axes.set(xlabel="tree", ylabel="absolute Kendall's tau", title="pair copulas of the vine")
        return axes


def fit_vine(
    returns: pd.DataFrame, families: tuple[str, ...] = _FAMILIES, *, truncation: int | None = None
) -> VineCopula:
    """Return the vine copula selected and fitted on the ranks of a panel.

    Parameters
    ----------
    returns : DataFrame, shape (T, n)
        Standardised residuals or decimal returns, no gap, at least 100 rows, no collinear columns.
    families : tuple of str
        Of pair copulas, names of the library: ``indep, gaussian, student, clayton, gumbel, frank, joe``.
    truncation : int, optional
        Trees beyond it are independent; all are fitted where None.

    Returns
    -------
    VineCopula

    Raises
    ------
    SchemaError, ParameterError, DataGapError
        As for other panels; an unknown family; a truncation below 1.
    OptionalDependencyError
        Without pyvinecopulib.

    Notes
    -----
    Trees by maximum spanning trees of absolute Kendall's tau, families by AIC, one thread. Cost grows with
    ``n^2 T``.

    References
    ----------
    Dißmann, Brechmann, Czado and Kurowicka (2013).

    Examples
    --------
    >>> from pmkit.market import load_history
    >>> r = load_history("crypto-daily-2020-2023").returns(["BTC", "ETH", "LINK"])
    >>> vine = fit_vine(r, ("indep", "student"))
    >>> vine.pairs["family"].tolist(), bool(vine.loglik > fit_vine(r, ("gaussian",)).loglik)
    (['student', 'student', 'student'], True)
    >>> vine.simulate(1000, seed=1).corr("kendall").loc["BTC", "ETH"].round(1)
    np.float64(0.6)
    """
    unknown = [name for name in families if name not in _FAMILIES]
    if unknown or not families:
        raise ParameterError(
            f"families are {', '.join(families) or 'none'}",
            f"some of {', '.join(_FAMILIES)}",
            "correct the names",
        )
    if truncation is not None and (isinstance(truncation, bool) or truncation < 1):
        raise ParameterError(f"truncation is {truncation!r}", "None, or 1 or more", "correct it")
    values, names = checked_panel(returns, fewest=100, least_columns=2, collinear=False)
    engine = optional_module("pyvinecopulib", "vine copulas")
    controls = engine.FitControlsVinecop(
        family_set=[getattr(engine.BicopFamily, name) for name in families],
        trunc_lvl=2**31 if truncation is None else truncation,
        selection_criterion="aic",
        num_threads=1,
    )
    u = np.asfortranarray(pseudo_observations(pd.DataFrame(values)).to_numpy())
    vine = engine.Vinecop.from_data(u, controls=controls)
    n = len(names)
    rows = []
    for tree in range(n - 1):
        for edge in range(n - 1 - tree):
            fitted = tree < vine.trunc_lvl
            pair = vine.get_pair_copula(tree, edge) if fitted else None
            rows.append(
                {
                    "tree": tree + 1,
                    "edge": edge + 1,
                    "family": "indep" if pair is None else pair.family.name,
                    "rotation": 0 if pair is None else int(pair.rotation),
                    "parameters": ""
                    if pair is None
                    else ", ".join(f"{float(p):.6g}" for p in np.ravel(pair.parameters)),
                    "tau": 0.0 if pair is None else float(pair.tau),
                }
            )
    loglik = float(vine.loglik(u, num_threads=1))
    return VineCopula(
        names=tuple(map(str, names)),
        engine=vine,
        pairs=pd.DataFrame(rows),
        loglik=loglik,
        aic=float(vine.aic(u, num_threads=1)),
        rows=len(values),
        provenance=Provenance(
            method="estimation.fit_vine",
            data={"returns": fingerprint(values)},
            parameters={"families": list(families), "truncation": truncation},
        ),
    )
