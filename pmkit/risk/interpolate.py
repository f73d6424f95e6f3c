"""Revaluation on a Chebyshev grid of spot and vol, interpolated to the scenarios, for costly pricers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.polynomial.chebyshev import chebval2d
from scipy.fft import dctn

from pmkit.core.errors import ConventionError, ParameterError
from pmkit.core.provenance import Provenance
from pmkit.core.types import BoolArray, FloatArray
from pmkit.instruments import Option, Portfolio, Position
from pmkit.market.snapshot import MarketSnapshot
from pmkit.pricing import combine
from pmkit.risk.interpolate_result import PATCH_COLUMNS, GridRevaluation
from pmkit.risk.moved import MovedMarket
from pmkit.risk.revalue import revalue
from pmkit.scenarios.factors import Factor, FactorKind
from pmkit.scenarios.scenario_set import ScenarioSet

__all__ = ["revalue_grid"]

#: Moves of an option's value that two axes cannot hold.
_NOT_ON_THE_GRID: tuple[FactorKind, ...] = ("skew", "curvature", "term")


class _Patch(NamedTuple):
    """Options of one underlying and settlement currency whose forwards move alike."""

    underlying: str
    currency: str
    expiry: pd.Timestamp | None
    positions: list[Position]


def revalue_grid(
    portfolio: Portfolio,
    snapshot: MarketSnapshot,
    scenarios: ScenarioSet,
    *,
    nodes: tuple[int, int] = (32, 8),
    balances: Mapping[str, float] | None = None,
    numeraire: str = "USD",
) -> GridRevaluation:
    """Return the profit of an account in every scenario with its options interpolated, in the numeraire.

    For comparison with :func:`revalue`, and for pricers that cost more than a closed form: the number of
    values does not grow with the scenarios. :func:`revaluation_gap` shows the difference.

    Parameters
    ----------
    portfolio : Portfolio
    snapshot : MarketSnapshot
    scenarios : ScenarioSet
        Moves of spot, vol, basis, fixings, funding and fx; an option has no third axis for other moves.
    nodes : (int, int)
        Nodes in the log move of the forward and in the log of the vol factor, each 2 or more.
    balances : mapping of str to float, optional
        Collateral, as in :meth:`PnLCube.account_pnl`.
    numeraire : str
        Currency of the profit.

    Returns
    -------
    GridRevaluation

    Raises
    ------
    ConventionError
        Options are held and the scenarios move skew, curvature, term or the rate of their currency.
    ParameterError
        ``nodes`` that are no numbers of 2 or more, or a relative vol move of -1, which has no logarithm.
    PmkitError
        Whatever :func:`revalue` and :meth:`PnLCube.account_pnl` raise.

    Notes
    -----
    The options of one underlying and one settlement currency are worth ``G(x, y)`` together, in that
    currency, with ``x = ln(F'/F)`` less the run-off of carry and ``y`` the log of the vol factor at the
    reference tenor. G is revalued in full on the Chebyshev nodes of the range that the scenarios reach, and
    interpolated by the polynomial through them. Expiries with a basis of their own get a grid of their own. A
    floor of rising vol (``min_vol_up``) makes G jump at y = 0: both sides then have their own grids. What is
    left is a kink where an option nears its expiry, and there the error is greatest; and where the smile
    moves with spot, G is no smoother than the surface, whose broken lines (``model="linear"``) are kinks too.

    References
    ----------
    Trefethen (2019), chapters 2 to 4 and 8; Zeron and Ruiz (2019).

    Examples
    --------
    >>> from pmkit.market import load_snapshot
    >>> from pmkit.scenarios import grid
    >>> name, snap = "BTC-28AUG26-60000-C", load_snapshot("deribit-btc-2026-08-01")
    >>> line = {"type": "position", "instrument": name, "qty": 1, "as_of": snap.as_of}
    >>> scen = grid(np.linspace(-0.3, 0.3, 500).tolist(), dynamics="sticky_strike", underlyings=["BTC"])
    >>> revalue_grid(Portfolio.from_records([line]), snap, scen).pnl[[0, -1]].round(1).tolist()
    [-4058.1, 17604.3]
    """
    counts = _checked(nodes)
    moved = MovedMarket(snapshot, scenarios, portfolio.instruments)
    patches, exact = _sorted_out(portfolio, moved)
    if numeraire != "USD" and not moved.money.is_dollar(numeraire):
        moved.money.check(numeraire, "numeraire")
    cash = moved.money.cash(balances)
    pnl, worth = np.zeros(len(scenarios)), moved.money.worth(cash)
    if exact:
        cube = revalue(portfolio.with_positions(exact), snapshot, scenarios)
        pnl += cube.account_pnl(portfolio.with_positions(exact))
        worth += [p.qty * float(base) for p, base in zip(exact, cube.base_usd, strict=True)]
    rows = []
    for patch in patches:
        x, y = _axes(patch, scenarios)
        for mask in _sides(patch.underlying, scenarios):
            x_nodes, y_nodes = _nodes(x[mask], counts[0]), _nodes(y[mask], counts[1])
            values, base = _on_nodes(patch, snapshot, scenarios, x_nodes, y_nodes)
            part, last = _interpolated(values, x[mask], y[mask])
            pnl[mask] += _in_usd(part, base, patch, moved, mask)
            rows.append([*_words(patch), int(mask.sum()), len(x_nodes), len(y_nodes), last])
        worth.append(base * moved.money.before(patch.currency))
    pnl = moved.money.in_numeraire(moved.money.add_collateral(pnl, cash), math.fsum(worth), numeraire)
    pnl.setflags(write=False)
    return GridRevaluation(
        pnl=pnl,
        numeraire=numeraire,
        scenarios=scenarios,
        patches=pd.DataFrame(rows, columns=PATCH_COLUMNS),
        exact=len(exact),
        provenance=Provenance(
            method="risk.revalue_grid",
            data={"snapshot": snapshot.fingerprint, "scenarios": scenarios.fingerprint},
            parameters={
                "nodes": list(counts),
                "positions": {p.instrument.name: p.qty for p in portfolio},
                "balances": cash,
                "numeraire": numeraire,
            },
            seed=scenarios.provenance.seed,
            simulated=scenarios.provenance.simulated,
        ),
    )


def _checked(nodes: tuple[int, int]) -> tuple[int, int]:
    counts = tuple(nodes) if isinstance(nodes, (tuple, list)) else (nodes,)
    if len(counts) != 2 or any(isinstance(n, bool) or not isinstance(n, int) or n < 2 for n in counts):
        raise ParameterError(
            f"nodes is {nodes!r}", "two whole numbers of 2 or more, such as (32, 8)", "correct it"
        )
    return counts[0], counts[1]


def _sorted_out(portfolio: Portfolio, moved: MovedMarket) -> tuple[list[_Patch], list[Position]]:
    """Return the options to interpolate by patch, and the positions to revalue in full."""
    patches: dict[tuple[str, str, pd.Timestamp | None], _Patch] = {}
    exact: list[Position] = []
    for position in portfolio:
        option = position.instrument
        if not isinstance(option, Option) or moved.settles(option):
            exact.append(position)
            continue
        _check_axes(option, moved.scenarios)
        own = moved.scenarios.column("basis", option.underlying, option.expiry) is not None
        key = (option.underlying, option.settlement_currency, option.expiry if own else None)
        patches.setdefault(key, _Patch(*key, [])).positions.append(position)
    return list(patches.values()), exact


def _check_axes(option: Option, scenarios: ScenarioSet) -> None:
    """Raise where the scenarios move something that a grid of spot and vol cannot hold."""
    wanted = [Factor(kind, option.underlying) for kind in _NOT_ON_THE_GRID]
    if not option.is_inverse:
        wanted.append(Factor("rate", option.settlement_currency))
    for factor in wanted:
        if scenarios.column(*factor) is not None:
            raise ConventionError(
                f"scenarios {scenarios.name!r} move {factor.label!r} and {option.name} is held",
                "moves of spot, vol and basis, for which the grid has axes",
                "use revalue, or drop the factor",
            )


def _axes(patch: _Patch, scenarios: ScenarioSet) -> tuple[FloatArray, FloatArray]:
    """Return the log move of the patch's forwards and the log of the vol factor in each scenario."""
    x = np.log(scenarios.spot_multiplier(patch.underlying))
    if patch.expiry is not None:
        basis = scenarios.column("basis", patch.underlying, patch.expiry)
        assert basis is not None
        x = x + basis
    move = scenarios.column("vol", patch.underlying)
    if move is None:
        return x, np.zeros(len(scenarios))
    if scenarios.vol_unit == "log":
        return x, move
    if float(move.min()) <= -1.0:
        at = int(np.argmin(move))
        raise ParameterError(
            f"vol of {patch.underlying} moves by {move[at]:g} in scenario {at} ({scenarios.label(at)})",
            "a relative move above -1, which has a logarithm",
            "use revalue, or take the scenario out",
        )
    return x, np.log1p(move)


def _sides(underlying: str, scenarios: ScenarioSet) -> list[BoolArray]:
    """Return the scenarios of each grid: those of rising vol apart where rising vol has a floor."""
    move = scenarios.column("vol", underlying)
    if move is None or scenarios.min_vol_up == 0.0:
        return [np.ones(len(scenarios), dtype=np.bool_)]
    return [side for side in (move <= 0.0, move > 0.0) if side.any()]


def _nodes(values: FloatArray, count: int) -> FloatArray:
    """Return the Chebyshev nodes of the range of the values, one node where it is a point."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        return np.array([low])
    t = np.cos(np.pi * (np.arange(count) + 0.5) / count)
    nodes: FloatArray = 0.5 * (low + high) + 0.5 * (high - low) * t
    return nodes


def _on_nodes(
    patch: _Patch, snapshot: MarketSnapshot, scenarios: ScenarioSet, x: FloatArray, y: FloatArray
) -> tuple[FloatArray, float]:
    """Return the patch's profit in settlement currency on the nodes, and its value before the scenarios."""
    name, moves = patch.underlying, [np.repeat(x, len(y))]
    factors = [Factor("spot", name)]
    if scenarios.column("vol", name) is not None:
        factors.append(Factor("vol", name))
        moves.append(np.tile(y if scenarios.vol_unit == "log" else np.expm1(y), len(x)))
    node_set = ScenarioSet(
        name=f"{scenarios.name}, nodes",
        factors=tuple(factors),
        shocks=np.column_stack(moves),
        horizon_days=scenarios.horizon_days,
        dynamics=scenarios.dynamics,
        spot_unit="log",
        vol_unit=scenarios.vol_unit,
        vol_term=scenarios.vol_term,
        min_vol_up=scenarios.min_vol_up,
    )
    cube = revalue([p.instrument for p in patch.positions], snapshot, node_set)
    held = np.array([p.qty for p in patch.positions])
    if patch.positions[0].instrument.is_inverse:
        profit, base = combine(cube.unit_coin, held), cube.base_coin
    else:
        price = cube.money.before(patch.currency)
        profit, base = combine(cube.unit_usd, held) / price, cube.base_usd / price
    return profit.reshape(len(x), len(y)), math.fsum((held * base).tolist())


def _interpolated(values: FloatArray, x: FloatArray, y: FloatArray) -> tuple[FloatArray, float]:
    """Return the polynomial through the values on the nodes of the range of (x, y), and its last terms.

    The polynomial is read at (x, y); its last terms are those of highest degree in x or in y, added in size.
    """
    coefficients = dctn(values, type=2) / values.size
    coefficients[0, :] *= 0.5
    coefficients[:, 0] *= 0.5
    size, ends = np.abs(coefficients), []
    if size.shape[0] > 1:
        ends += size[-1, :].tolist()
    if size.shape[1] > 1:
        ends += size[:, -1].tolist()
    read = np.asarray(chebval2d(_scaled(x), _scaled(y), coefficients), dtype=np.float64)
    return read, math.fsum(ends)


def _scaled(values: FloatArray) -> FloatArray:
    """Return the values on the scale where their range is -1 to 1; 0 where they are all the same."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        return np.zeros_like(values)
    scaled: FloatArray = (2.0 * values - (low + high)) / (high - low)
    return scaled


def _in_usd(
    profit: FloatArray, base: float, patch: _Patch, moved: MovedMarket, mask: BoolArray
) -> FloatArray:
    """Return the USD profit of what gains ``profit`` and was worth ``base`` in a currency that moves too."""
    before, after = moved.money.before(patch.currency), moved.money.after(patch.currency)
    if after is None or moved.money.is_dollar(patch.currency):
        return profit * before
    gain: FloatArray = profit * after[mask] + base * (after[mask] - before)
    return gain


def _words(patch: _Patch) -> list[object]:
    expiry = "all" if patch.expiry is None else f"{patch.expiry:%Y-%m-%d}"
    return [patch.underlying, patch.currency, expiry, len(patch.positions)]
