"""Revaluation under shocked surfaces: as the scenarios say, and with the arbitrage they create taken out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from pmkit.core.errors import ConventionError, DataGapError
from pmkit.core.provenance import Provenance
from pmkit.core.types import FloatArray
from pmkit.instruments import Instrument, Option, Portfolio
from pmkit.market.snapshot import MarketSnapshot
from pmkit.risk.cube import PnLCube
from pmkit.risk.moved import MovedMarket
from pmkit.risk.revalue import build_cube, revalue, values_at
from pmkit.scenarios.factors import FactorKind
from pmkit.scenarios.scenario_set import ScenarioSet
from pmkit.surface import ShockedSurface, SurfaceShock
from pmkit.surface.sliced import SlicedSurface

__all__ = ["ShockedCubes", "revalue_shocked", "surface_shocks"]

_COLUMNS = ["number", "scenario", "underlying", "butterfly", "calendar", "moved", "expiry"]
#: Kinds of factor that are sizes of a surface's shock besides spot, in the order of the loop that reads them.
_SURFACE_KINDS: tuple[FactorKind, ...] = ("vol", "term", "skew", "curvature")
#: Forwards of one market agree to this share of their price.
_SAME_FORWARD = 1e-9


@dataclass(frozen=True, kw_only=True)
class ShockedCubes:
    """Unit profits under the same scenarios twice: as specified and on surfaces without static arbitrage.

    Attributes
    ----------
    specified, projected : PnLCube
    surfaces : DataFrame
        One row per scenario (``number`` from 0) and underlying with options. ``butterfly`` and
        ``calendar``: expiries at which the surface as specified admits it; ``moved``: greatest distance in
        vol points (0.01) by which projecting moved a quoted strike, at ``expiry``.
    """

    specified: PnLCube
    projected: PnLCube
    surfaces: pd.DataFrame


def surface_shocks(scenarios: ScenarioSet, underlying: str) -> tuple[SurfaceShock, ...]:
    """Return the shock of one underlying's surface in every scenario: spot, vol, term, skew, curvature, time.

    Raises
    ------
    ConventionError
        The scenarios move the basis or hold fixings, which no shock of a surface says.
    DataGapError
        The scenarios hold no factor of the underlying.

    Examples
    --------
    >>> from pmkit.scenarios import grid
    >>> scen = grid([-0.16, 0.16], [0.5], dynamics="sticky_strike", underlyings=["BTC"])
    >>> [str(shock) for shock in surface_shocks(scen, "BTC")]
    ['spot -16%, vol +50% at the reference tenor', 'spot +16%, vol +50% at the reference tenor']
    """
    held = [f for f in scenarios.factors if f.underlying == underlying]
    other = [f.label for f in held if f.kind in ("basis", "fixing")]
    if other:
        raise ConventionError(
            f"scenarios {scenarios.name!r} hold {other[0]!r}",
            "moves of spot, vol, term, skew and curvature alone",
            "take a grid or a table of moves",
        )
    if not held:
        raise DataGapError(
            f"scenarios {scenarios.name!r} hold no factor of {underlying}",
            f"one of {', '.join(scenarios.underlyings) or 'none'}",
            f"build the scenarios with {underlying} among the underlyings",
        )
    spot = scenarios.spot_multiplier(underlying) - 1.0
    vol, twist, skew, curvature = (
        np.zeros(len(scenarios)) if (column := scenarios.column(kind, underlying)) is None else column
        for kind in _SURFACE_KINDS
    )
    return tuple(
        SurfaceShock(
            spot=float(spot[at]),
            vol=float(vol[at]),
            twist=float(twist[at]),
            skew=float(skew[at]),
            curvature=float(curvature[at]),
            horizon_days=scenarios.horizon_days,
            vol_unit=scenarios.vol_unit,
            vol_term=scenarios.vol_term,
            min_vol_up=scenarios.min_vol_up,
            reference_days=scenarios.vol_term.reference_days,
        )
        for at in range(len(scenarios))
    )


def revalue_shocked(
    book: Portfolio | Sequence[Instrument],
    snapshot: MarketSnapshot,
    scenarios: ScenarioSet,
    surfaces: Mapping[str, SlicedSurface[Any]],
    *,
    own_vols: bool = True,
) -> ShockedCubes:
    """Return unit profits under shocked surfaces, as specified and with static arbitrage projected out.

    Parameters
    ----------
    book : Portfolio or sequence of Instrument
    snapshot : MarketSnapshot
    scenarios : ScenarioSet
        Moves of spot, vol, term, skew and curvature.
    surfaces : mapping of str to SlicedSurface
        By underlying, of the snapshot's instant and forwards; one for each underlying with options.
    own_vols : bool
        True: every contract keeps its own vol, as a venue margins it, and only the move is the surface's.
        False: contracts are valued on the surface before and after.

    Returns
    -------
    ShockedCubes

    Raises
    ------
    DataGapError
        An option's underlying or expiry is in no surface.
    ConventionError
        A surface is of another instant or other forwards, or the scenarios move the basis.
    PmkitError
        Whatever :func:`revalue` raises.

    Notes
    -----
    As specified this is :func:`revalue`. Projected, the vol of each contract is that as specified times
    ``iv_projected(k)/iv_specified(k)`` of the surface at its strike and the scenario's forward. Both
    shocks and the count of violations cost about 10 ms an expiry and scenario.

    Examples
    --------
    >>> from pmkit.market import load_snapshot
    >>> from pmkit.scenarios.grid import grid
    >>> snap, name = load_snapshot("deribit-btc-2026-08-01"), "BTC-28AUG26-60000-C"
    >>> line = {"type": "position", "instrument": name, "qty": 1, "as_of": snap.as_of}
    >>> book, scen = Portfolio.from_records([line]), grid([-0.16, 0.16], dynamics="sticky_strike")
    >>> both = revalue_shocked(book, snap, scen, {"BTC": snap.market("BTC").surface})
    >>> [cube.account_pnl(book).round().tolist() for cube in (both.specified, both.projected)]
    [[-3823.0, 8878.0], [-3839.0, 8873.0]]
    """
    market = _with_surfaces(snapshot, surfaces, own_vols)
    specified = revalue(book, market, scenarios)
    options = [i for i in specified.instruments if isinstance(i, Option) and i.name not in specified.settled]
    rows: list[dict[str, Any]] = []
    factors: dict[str, FloatArray] = {}
    for name in dict.fromkeys(option.underlying for option in options):
        mine = [option for option in options if option.underlying == name]
        surface = _surface_of(name, surfaces, market, mine)
        ratio = np.empty((len(mine), len(scenarios)))
        for at, shock in enumerate(surface_shocks(scenarios, name)):
            pair = [
                surface.shock(shock, dynamics=scenarios.dynamics, arbitrage=how)
                for how in ("as_specified", "projected")
            ]
            rows.append({"number": at, "scenario": scenarios.label(at), **_row(name, pair[0], pair[1])})
            ratio[:, at] = [_ratio(option, pair[0], pair[1]) for option in mine]
        factors |= {option.name: row for option, row in zip(mine, ratio, strict=True)}

    def values(option: Option, moved: MovedMarket, _: float) -> FloatArray:
        return values_at(option, moved, moved.vol(option) * factors[option.name])

    moved = MovedMarket(market, scenarios, specified.instruments)
    projected = build_cube(specified.instruments, moved, values, method="risk.revalue_shocked")
    projected = replace(projected, provenance=_provenance(projected, surfaces))
    return ShockedCubes(
        specified=specified, projected=projected, surfaces=pd.DataFrame(rows, columns=_COLUMNS)
    )


def _with_surfaces(
    snapshot: MarketSnapshot, surfaces: Mapping[str, SlicedSurface[Any]], own_vols: bool
) -> MarketSnapshot:
    """Return the snapshot with these surfaces; without own vols contracts read them."""
    markets = dict(snapshot.underlyings)
    for name, surface in surfaces.items():
        seen = snapshot.market(name)
        if surface.curve.as_of != snapshot.as_of:
            raise ConventionError(
                f"the {name} surface is of {surface.curve.as_of.isoformat()}",
                f"the instant of the snapshot, {snapshot.as_of.isoformat()}",
                "fit the surface to the quotes of the snapshot",
            )
        kept = seen.option_iv if own_vols else {}
        markets[name] = replace(seen, surface=surface, option_iv=kept)
    return replace(snapshot, underlyings=markets)


def _surface_of(
    name: str, surfaces: Mapping[str, SlicedSurface[Any]], market: MarketSnapshot, options: Sequence[Option]
) -> SlicedSurface[Any]:
    if name not in surfaces:
        raise DataGapError(
            f"options on {name} and no {name} surface",
            f"a surface for each underlying with options ({', '.join(surfaces) or 'none given'})",
            "fit one: pmkit.surface.fit(quotes, model='essvi')",
        )
    for option in options:
        forward, own = market.forward(name, option.expiry), surfaces[name].slice(option.expiry).forward
        if abs(own / forward - 1.0) > _SAME_FORWARD:
            raise ConventionError(
                f"forward of {option.expiry.date()} is {own:.8g} USD on the {name} surface",
                f"{forward:.8g} USD as in the snapshot",
                "fit the surface to the quotes of the snapshot",
            )
    return surfaces[name]


def _ratio(option: Option, first: ShockedSurface, second: ShockedSurface) -> float:
    """Return vol projected over vol as specified at the strike."""
    one, two = first.slice(option.expiry), second.slice(option.expiry)
    k = math.log(option.strike / one.forward)
    return float(two.iv(k) / one.iv(k))


def _row(name: str, first: ShockedSurface, second: ShockedSurface) -> dict[str, Any]:
    alone, pairs = first.violations()
    worst = second.moved["max"].abs()
    return {
        "underlying": name,
        "butterfly": alone,
        "calendar": pairs,
        "moved": float(worst.max()),
        "expiry": worst.idxmax(),
    }


def _provenance(cube: PnLCube, surfaces: Mapping[str, SlicedSurface[Any]]) -> Provenance:
    own = cube.provenance
    prints = {f"surface {name}": str(getattr(s, "fingerprint", s.model)) for name, s in surfaces.items()}
    return replace(own, data={**own.data, **prints})
