"""Stress scenarios for a snapshot: a day of the past replayed, or set moves with the rest as expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pmkit.core.errors import ConventionError, ParameterError
from pmkit.core.types import Dynamics
from pmkit.market.history import PriceHistory
from pmkit.market.snapshot import MarketSnapshot
from pmkit.scenarios.combine import concatenate
from pmkit.scenarios.factor_covariance import FactorCovariance
from pmkit.scenarios.response import DEFAULT_RESPONSE, FactorResponse, factor_response
from pmkit.scenarios.scenario_set import ScenarioSet
from pmkit.scenarios.stresses.events import StressEvent, stress_event
from pmkit.scenarios.stresses.hypothetical import Moves, hypothetical
from pmkit.scenarios.stresses.replay import Replay

__all__ = ["stress"]


def stress(
    what: str | StressEvent | Sequence[str] | Moves,
    snapshot: MarketSnapshot,
    *,
    dynamics: Dynamics,
    model: FactorCovariance | PriceHistory | None = None,
    sessions: int | None = None,
    aged: bool = False,
    underlyings: Sequence[str] | None = None,
    assets: Mapping[str, str] | None = None,
    betas: Mapping[str, float] | None = None,
    vol_moves: Mapping[str, float] | None = None,
    currencies: Sequence[str] = (),
    response: FactorResponse | str = DEFAULT_RESPONSE,
) -> ScenarioSet:
    """Return stress scenarios: spot as it moved on named days, or as set; other factors as then expected.

    Parameters
    ----------
    what : str, StressEvent, sequence of str, or mapping of factor to move
        A name of :func:`list_stresses` or several, an event, or a hypothetical stress: ``{"BTC": -0.3}`` is
        spot down by 30 per cent, ``{"BTC": -0.3, "BTC vol": 0.8}`` also vol up by 80. Moves of spot, vol and
        fx are relative, others in the unit of :class:`Factor`.
    snapshot : MarketSnapshot
    dynamics : {"sticky_strike", "sticky_moneyness", "sticky_delta"}
        What a spot move does to the smile.
    model : FactorCovariance or PriceHistory, optional
        Hypothetical: law of all factors (required); of a history the covariance is taken over one day.
        Named: where an underlying did not trade, a history or covariance that holds it beside those that did.
    sessions : int, optional
        Named: the worst stretch of that many sessions inside the event; the whole where None.
    aged : bool
        Whether time passes over the window of the event or the horizon of the model, so that contracts settle
        on the way. Moves come at once where False.
    underlyings : sequence of str, optional
        All of the snapshot where None.
    assets : mapping of str to str, optional
        Named: column of the event for an underlying that bears another name, ``{"SPX": "SP500"}``.
    betas : mapping of str to float, optional
        Named: log move of an underlying over that of the event's lead asset, where it did not trade.
    vol_moves : mapping of str to float, optional
        Named: relative move of implied vol at the reference tenor, in place of the response.
    currencies : sequence of str
        Named: collateral currencies that get an ``fx`` factor, as their price in USD moved then.
    response : FactorResponse or str
        Expected move of vol and basis given spot.

    Returns
    -------
    ScenarioSet
        A labelled row a stress, in logs; ``notes`` says what was observed, what is assumed, and for
        hypothetical stresses the conditional standard deviations.

    Raises
    ------
    DataGapError
        An unknown name, an underlying that neither traded nor has a beta or model, no vol response for it, or
        a factor that the model does not hold.
    ConventionError
        A hypothetical stress without model, or arguments of the other kind of stress.
    ParameterError
        A move that takes a price or vol to 0, or is not finite; sessions out of range.

    Notes
    -----
    Named: ``vol = b spot`` and ``basis = c_e g spot`` by the response, without its residual: the implied vols
    of the day itself are not shipped, so both are assumed, and linear far beyond the sample they come from.
    Hypothetical: ``E[o | s] = C_os C_ss^-1 s``, so the shocked factors are exact and the others are the mean
    of a normal law whose spread given s stands in the notes.

    References
    ----------
    Kupiec (1998), predictive stress tests.

    Examples
    --------
    >>> import numpy as np
    >>> snap = MarketSnapshot.from_marks("2026-08-01T00:00:00Z", {"BTC": 50_000.0})
    >>> crash = stress("btc-2020-03-12", snap, dynamics="sticky_moneyness")
    >>> crash.label(0), np.expm1(crash.shocks[0]).round(3).tolist()
    ('btc-2020-03-12', [-0.372, 0.652])
    """
    if isinstance(what, Mapping):
        odd: dict[str, object] = {
            "sessions": sessions,
            "assets": assets,
            "betas": betas,
            "vol_moves": vol_moves,
        }
        odd["currencies"] = currencies or None
        used = [name for name, value in odd.items() if value is not None]
        if used:
            raise ConventionError(
                f"{', '.join(used)} beside set moves", "arguments of a hypothetical stress", "leave them out"
            )
        return hypothetical(what, snapshot, dynamics, model, underlyings, response, aged)
    if not isinstance(what, (str, StressEvent)):
        if not what:
            raise ParameterError("no stress is named", "at least one name", "see list_stresses()")
        if aged:
            raise ConventionError(
                "several stresses with aged=True", "one horizon a set", "build one set a stress"
            )
    events = [what] if isinstance(what, (str, StressEvent)) else list(what)
    replay = Replay(
        snapshot=snapshot,
        names=list(dict.fromkeys(snapshot.underlyings if underlyings is None else underlyings)),
        dynamics=dynamics,
        model=model,
        aged=aged,
        assets=assets or {},
        betas=betas or {},
        vol_moves=vol_moves or {},
        currencies=tuple(currencies),
        law=factor_response(response) if isinstance(response, str) else response,
    )
    sets = []
    for one in events:
        event = stress_event(one) if isinstance(one, str) else one
        sets.append(replay.of(event if sessions is None else event.window(sessions)))
    return sets[0] if len(sets) == 1 else concatenate(sets, name="named stresses")
