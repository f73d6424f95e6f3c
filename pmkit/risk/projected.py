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
from pmkit.pricing import option_values
from pmkit.risk.cube import PnLCube
from pmkit.risk.moved import MovedMarket
from pmkit.risk.revalue import revalue
from pmkit.scenarios.scenario_set import ScenarioSet
from pmkit.surface import ShockedSurface, SurfaceShock
from pmkit.surface.sliced import SlicedSurface

__all__ = ["ShockedCubes", "revalue_shocked", "surface_shocks"]

_COLUMNS = ["number", "scenario", "underlying", "butterfly", "calendar", "moved", "expiry"]
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
    """Return the shock of one underlying's surface in every scenario.

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
    other = [f.label for f in held if f.kind not in ("spot", "vol")]
    if other:
        raise ConventionError(
            f"scenarios {scenarios.name!r} hold {other[0]!r}",
            "moves of spot and vol alone",
            "take a grid or a table of moves",
        )
    if not held:
        raise DataGapError(
            f"scenarios {scenarios.name!r} hold no factor of {underlying}",
            f"one of {', '.join(scenarios.underlyings) or 'none'}",
            f"build the scenarios with {underlying} among the underlyings",
        )
    spot = scenarios.spot_multiplier(underlying) - 1.0
    column = scenarios.column("vol", underlying)
    vol = np.zeros(len(scenarios)) if column is None else column
    return tuple(
        SurfaceShock(
            spot=float(x),
            vol=float(v),
            horizon_days=scenarios.horizon_days,
            vol_unit=scenarios.vol_unit,
            vol_term=scenarios.vol_term,
            min_vol_up=scenarios.min_vol_up,
        )
        for x, v in zip(spot, vol, strict=True)
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
        Moves of spot and vol.
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
    """
    market = _with_surfaces(snapshot, surfaces, own_vols)
    specified = revalue(book, market, scenarios)
    usd, coin = np.array(specified.unit_usd), np.array(specified.unit_coin)
    options = [i for i in specified.instruments if isinstance(i, Option) and i.name not in specified.settled]
    rows: list[dict[str, Any]] = []
    moved = MovedMarket(market, scenarios, options)
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
        for option, factor in zip(mine, ratio, strict=True):
            _fill(option, moved, factor, specified, usd, coin)
    projected = replace(specified, unit_usd=usd, unit_coin=coin, provenance=_provenance(specified, surfaces))
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


def _fill(
    option: Option, moved: MovedMarket, factor: FloatArray, cube: PnLCube, usd: FloatArray, coin: FloatArray
) -> None:
    """Write the profit of one contract with its vols as specified times a factor."""
    row = cube.instruments.index(option)
    iv = moved.vol(option) * factor
    key = (option.underlying, option.expiry)
    after = option_values(
        moved.forwards[key], iv, option.strike, moved.tau(option.expiry), option.is_call, option.is_inverse
    )
    after *= option.multiplier
    if option.is_inverse:
        before, spot = cube.base_coin[row], moved.snapshot.spot(option.underlying)
        coin[row] = after - before
        usd[row] = after * moved.spot[option.underlying] - before * spot
    else:
        usd[row] = after - cube.base_usd[row]


def _provenance(cube: PnLCube, surfaces: Mapping[str, SlicedSurface[Any]]) -> Provenance:
    own = cube.provenance
    prints = {f"surface {name}": str(getattr(s, "fingerprint", s.model)) for name, s in surfaces.items()}
    return replace(own, method="risk.revalue_shocked", data={**own.data, **prints})
