"""From a surface and a shock to the shocked surface, arbitrage left in or projected out."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any, get_args

import numpy as np
import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.time import year_fraction
from pmkit.surface.inputs.forwards import ForwardCurve
from pmkit.surface.joint.essvi import EssviParameters
from pmkit.surface.joint.essvi_bound import Bound, check_bound
from pmkit.surface.moves.dynamics import SmileDynamics, check_dynamics
from pmkit.surface.moves.pointwise import (
    JudgedCurve,
    free_of_butterflies,
    free_of_calendars,
    judged_slice,
    quoted_k,
)
from pmkit.surface.moves.projection import fit_smile, projected, shifted_raw
from pmkit.surface.moves.shocked import Between, ShockedSlice, ShockedSurface, Treatment, atm_iv
from pmkit.surface.moves.shocks import SurfaceShock
from pmkit.surface.moves.slice_move import SliceMove, floor_move, slice_move
from pmkit.surface.readouts.curves import variance_curve
from pmkit.surface.sliced import SlicedSurface

__all__ = ["moved_slice", "shock_surface"]


def _moved_curve(curve: ForwardCurve, shock: SurfaceShock) -> ForwardCurve:
    """Return the forwards after the shock: all move with spot, and the carry runs off with time."""
    after = curve.as_of + pd.Timedelta(days=shock.horizon_days)
    quotes = {}
    for expiry, quote in curve.quotes.items():
        if expiry <= after:
            continue
        tau = year_fraction(curve.as_of, expiry)
        spent = _carry_spent(quote.price, curve.spot, shock.horizon_days / 365.0, tau)
        price = quote.price * (1.0 + shock.spot) * math.exp(-spent)
        quotes[expiry] = quote._replace(price=price, source=f"{quote.source}, shocked")
    return replace(curve, spot=curve.spot * (1.0 + shock.spot), as_of=after, quotes=quotes, parity={})


def _carry_spent(forward: float, spot: float, horizon: float, tau: float) -> float:
    """Return the part of ln(forward/spot) that has run off at the horizon."""
    return math.log(forward / spot) * horizon / tau


def moved_judged(before: JudgedCurve, move: SliceMove) -> JudgedCurve:
    """Return the smile after a shock with its wings, centres and kinks moved along."""
    stretch = move.variance_factor / move.divisor
    centres = {float(x) for x in move.after(np.array(before.centres))} | {0.0}
    return JudgedCurve(
        curve=move.curve(before.curve),
        slopes=(stretch * before.slopes[0], stretch * before.slopes[1]),
        width=before.width * move.divisor,
        centres=tuple(sorted(centres)),
        knots=move.after(before.knots),
    )


def _held_parameters(one: Any, move: SliceMove) -> tuple[EssviParameters | None, float]:
    """Return theta, rho, psi and their shift after the move, where the smile is an eSSVI slice still."""
    before, old_shift = getattr(one, "parameters", None), float(getattr(one, "shift", 0.0))
    if not isinstance(before, EssviParameters) or one.svi is None or not move.affine:
        return None, 0.0
    v, d = move.variance_factor, move.divisor
    return replace(before, theta=v * before.theta, psi=v / d * before.psi), move.shift + d * old_shift


def shock_surface(
    surface: SlicedSurface[Any],
    shock: SurfaceShock,
    *,
    dynamics: SmileDynamics | None = None,
    arbitrage: Treatment = "as_specified",
    bound: Bound = "mm",
) -> ShockedSurface:
    """Return the surface after a shock, as it was specified or free of static arbitrage.

    Parameters
    ----------
    surface : SlicedSurface
        Any surface of slices, also one that was shocked before.
    shock : SurfaceShock
    dynamics : SmileDynamics, optional
        What a move of the forward does to the smile: ``"sticky_strike"``, ``"sticky_moneyness"``,
        ``"sticky_delta"`` or ``SkewStickiness(ratio)``. Required where spot or time moves.
    arbitrage : {"as_specified", "projected"}
        ``projected``: a surface that is free stays as it is. Of another each smile becomes the eSSVI slice
        nearest to it in vol on its quoted strikes (itself where it is one, about the old money where spot
        moved), and the slices are brought inside the bounds; a floor goes on top. ``moved`` says how far.
    bound : {"mm", "gj"}
        Butterfly bound of the projection: exact, or sufficient.

    Returns
    -------
    ShockedSurface

    Raises
    ------
    ConventionError
        No or unknown dynamics, or ``shock`` is not a SurfaceShock.
    ParameterError
        Unknown ``arbitrage`` or ``bound``, or a vol taken to 0 or below.
    DataGapError
        No expiry outlasts the horizon.

    Notes
    -----
    Forwards move with spot, ``F' = F (1 + spot)`` less the carry that runs off until the horizon; the implied
    vol of each expiry is held while time runs. ``sticky_delta`` reads the vol at the money before any floor.
    About 1 ms an expiry, a projection 5 ms, a report of arbitrage 10 ms.

    Examples
    --------
    >>> from pmkit.market import datasets, read_quotes
    >>> from pmkit.surface import SurfaceShock, fit
    >>> surface = fit(read_quotes(datasets.path("deribit-eth-2026-05-21")), model="essvi")
    >>> shocked = shock_surface(surface, SurfaceShock(vol=0.1))
    >>> round(float(shocked.w(0.0, 0.1) / surface.w(0.0, 0.1)), 4)
    1.21
    """
    if not isinstance(shock, SurfaceShock):
        raise ParameterError(
            f"a shock of type {type(shock).__name__}", "a SurfaceShock", "build one: SurfaceShock(vol=0.5)"
        )
    if arbitrage not in get_args(Treatment):
        raise ParameterError(
            f"arbitrage={arbitrage!r}", "'as_specified' or 'projected'", "name one of the two"
        )
    check_bound(bound)
    rule = check_dynamics(dynamics, needed=shock.spot != 0.0 or shock.horizon_days != 0.0)
    curve = _moved_curve(surface.curve, shock)
    slices, plain, left_out = [], [], dict(surface.left_out)
    no_floor = replace(shock, min_vol_up=0.0)
    for one in surface.slices:
        if not one.tau > shock.horizon_days / 365.0:
            left_out[one.expiry] = f"expires inside the horizon of {shock.horizon_days:g} days"
            continue
        slices.append(moved_slice(one, shock, rule, surface.curve.spot))
        plain.append(moved_slice(one, no_floor, rule, surface.curve.spot) if shock.floor else slices[-1])
    if not slices:
        raise DataGapError(
            f"every expiry of {curve.underlying} lies inside the horizon of {shock.horizon_days:g} days",
            "an expiry after the horizon",
            "shorten the horizon",
        )
    specified = final = tuple(slices)
    between: Between = "pointwise"
    if arbitrage == "projected":
        final, between = _projected_slices(tuple(plain), shock.floor, bound)
    return ShockedSurface(
        slices=final,
        curve=curve,
        left_out=left_out,
        base=surface,
        applied=shock,
        dynamics=rule,
        treatment=arbitrage,
        between=between,
        moved=_moved_points(specified, final),
        model=f"{surface.model}, shocked" if not surface.model.endswith("shocked") else surface.model,
    )


def moved_slice(one: Any, shock: SurfaceShock, rule: SmileDynamics, spot: float) -> ShockedSlice:
    """Return one slice after a shock, from the spot in USD before it.

    Raises
    ------
    ParameterError
        A vol on a quoted strike is taken to 0 or below.
    """
    before = judged_slice(one)
    log_move = math.log1p(shock.spot) - _carry_spent(one.forward, spot, shock.horizon_days / 365.0, one.tau)
    move = slice_move(shock, rule, tau=one.tau, atm_iv=atm_iv(one), log_move=log_move)
    judged = moved_judged(before, move)
    k = quoted_k(one) - log_move
    k.flags.writeable = False
    judged.curve.w(k)  # a vol that is not positive on a quoted strike is refused here and not later
    parameters, shift = _held_parameters(one, move)
    return ShockedSlice(
        expiry=one.expiry,
        tau=move.tau_after,
        forward=one.forward * math.exp(log_move),
        k=k,
        judged=judged,
        parameters=parameters,
        shift=shift if parameters else move.shift,
    )


def _projected_slices(
    plain: tuple[ShockedSlice, ...], floor: float, bound: Bound
) -> tuple[tuple[ShockedSlice, ...], Between]:
    """Return free slices near those without their floor, and the floor on top again.

    The dearer of two convex prices is convex, and a flat floor rises with time: on a free surface it is free.
    """
    alone = all(free_of_butterflies(one.judged) for one in plain)
    if alone and all(free_of_calendars(near.judged, far.judged) for near, far in pairwise(plain)):
        return tuple(_with_floor(one, floor) for one in plain), "pointwise"
    # after a move of spot the smiles are eSSVI about the old money, the same distance away at every expiry
    shift = float(np.median([one.shift for one in plain]))
    wanted = [_nearest(one, shift, bound) for one in plain]
    found = []
    for one, parameters in zip(plain, projected(wanted, shift=shift, bound=bound), strict=True):
        judged = judged_slice(variance_curve(shifted_raw(parameters, shift), one.tau))
        found.append(_with_floor(replace(one, judged=judged, parameters=parameters, shift=shift), floor))
    return tuple(found), "essvi"


def _with_floor(one: ShockedSlice, floor: float) -> ShockedSlice:
    if floor == 0.0:
        return one
    return replace(one, judged=moved_judged(one.judged, floor_move(one.tau, floor)))


def _nearest(one: ShockedSlice, shift: float, bound: Bound) -> EssviParameters:
    """Return the slice's own parameters about the old money, else those nearest to its smile."""
    if one.parameters is not None and abs(one.shift - shift) <= 1e-12:
        return one.parameters
    return fit_smile(one.k + shift, one.at(one.k), bound)


def _moved_points(specified: tuple[ShockedSlice, ...], final: tuple[ShockedSlice, ...]) -> pd.DataFrame:
    """Return by how many vol points the final smiles differ from those specified, on the quoted strikes."""
    rows: dict[pd.Timestamp, dict[str, float]] = {}
    for first, second in zip(specified, final, strict=True):
        gap = 100.0 * (second.iv(first.k) - first.iv(first.k))
        worst = int(np.argmax(np.abs(gap)))
        rows[first.expiry] = {
            "max": float(gap[worst]),
            "k_max": float(first.k[worst]),
            "mean": math.fsum(np.abs(gap)) / gap.size,
            "at_the_money": 100.0 * float(second.iv(0.0) - first.iv(0.0)),
        }
    return pd.DataFrame.from_dict(rows, orient="index")
