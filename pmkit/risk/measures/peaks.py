"""VaR and ES from the generalised Pareto law of the largest losses."""

from __future__ import annotations

import math

import numpy as np

from pmkit.core.errors import ParameterError
from pmkit.estimation import fit_gpd
from pmkit.risk.measures.sample import Estimate
from pmkit.risk.tail import SAME, Tail

__all__ = ["generalised_pareto"]


def generalised_pareto(
    tail: Tail, tail_share: float | None = None, threshold: float | None = None
) -> Estimate:
    """Return VaR and ES of the fitted tail, with delta-method errors for independent losses.

    Parameters
    ----------
    tail : Tail
        Equally weighted.
    tail_share, threshold : float, optional
        As for :func:`pmkit.estimation.fit_gpd`; a tenth of the losses where neither is given.

    Raises
    ------
    ParameterError
        Unequal weights, or a level below the threshold.
    DataGapError
        Fewer than 20 losses above the threshold.
    """
    if float(np.ptp(tail.weight)) > SAME:
        raise ParameterError(
            "unequal weights with method 'gpd'", "equal weights", "resample by the weights first"
        )
    fit = fit_gpd(tail.loss, threshold=threshold, tail_share=tail_share)
    var_error, es_error = fit.std_error(tail.level)
    es = fit.es(tail.level)
    return Estimate(
        name=f"generalised Pareto above {fit.threshold:.6g}",
        var=fit.var(tail.level),
        es=es,
        var_error=var_error,
        es_error=es_error,
        references=fit.references,
        status=fit.status if math.isfinite(es) else "no_mean",
        settings={"xi": fit.shape, "beta": fit.scale, "excesses": float(fit.excesses)},
    )
