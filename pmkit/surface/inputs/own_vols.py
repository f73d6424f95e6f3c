"""Own implied vols: the mids of a chain inverted at once, with a reason for every option without one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pmkit.core.status import Status
from pmkit.core.time import year_fraction
from pmkit.market.quotes import Quotes
from pmkit.pricing import implied_vol
from pmkit.surface.arguments import check_curve
from pmkit.surface.inputs.forwards import ForwardCurve

__all__ = ["OwnVols", "own_vols"]

#: Vols above this are noise of a tick on an option about to settle, not information.
_MAX_IV = 5.0


@dataclass(frozen=True, kw_only=True)
class OwnVols:
    """Implied vols of the options with a two-sided quote.

    Attributes
    ----------
    frame : pandas.DataFrame
        instrument, expiry, strike, is_call, mid, forward, tau, k, bid, ask, spread, iv. Mid, bid, ask and
        spread in shares of the discounted forward, which a coin premium is already.
    ledger : tuple of (instrument, reason, detail)
        Options without an own vol: ``below_intrinsic`` or another status of the inversion,
        ``vol_out_of_range``, ``no_forward``.
    """

    frame: pd.DataFrame
    ledger: tuple[tuple[str, str, str], ...]

    @property
    def by_name(self) -> dict[str, float]:
        """Implied vol (decimal) by option name."""
        return dict(zip(self.frame["instrument"], self.frame["iv"].astype(float), strict=True))


def own_vols(quotes: Quotes, curve: ForwardCurve) -> OwnVols:
    """Return the implied vols (decimal) of the option mids of one underlying, on the forwards of ``curve``.

    Premiums in quote currency are discounted by the factors of the curve. In-the-money mids are inverted
    through parity. Mids below the intrinsic value on the forward have none; they and every other failure
    stand in the ledger.

    Raises
    ------
    ConventionError
        Quotes and curve are of different settlement.
    """
    check_curve(quotes, curve)
    frame = quotes.of_underlying(curve.underlying)
    options = frame[(frame["kind"] == "option") & frame["mid"].notna()]
    ledger = [
        (str(name), "no_forward", "its expiry has no forward")
        for name in options.loc[~options["expiry"].isin(list(curve.quotes)), "instrument"]
    ]
    options = options[options["expiry"].isin(list(curve.quotes))]
    forward = np.array([curve.quotes[e].price for e in options["expiry"]], dtype=np.float64)
    tau = np.array([year_fraction(curve.as_of, e) for e in options["expiry"]], dtype=np.float64)
    strike, mid = options["strike"].to_numpy(), options["mid"].to_numpy()
    is_call = options["is_call"].to_numpy(dtype=bool)
    df = np.array([curve.discount(e) for e in options["expiry"]], dtype=np.float64)
    iv, status = (np.empty(0), np.empty(0, dtype=np.int8))
    if len(options):
        iv, status = implied_vol(
            mid, forward, strike, tau, df=df, is_call=is_call, return_status=True,
            settlement=quotes.settlement,
        )  # fmt: skip
    # premiums in shares of the discounted forward; a coin premium stays as it is
    share = np.ones(forward.size) if quotes.settlement == "inverse" else df * forward
    for i in np.flatnonzero((status != Status.OK) | (iv > _MAX_IV)):
        name = str(options["instrument"].iloc[i])
        if status[i] == Status.OK:
            ledger.append((name, "vol_out_of_range", f"mid {mid[i]:g} implies {iv[i]:.2f}"))
            continue
        intrinsic = max(0.0, (1.0 if is_call[i] else -1.0) * (1.0 - strike[i] / forward[i])) * share[i]
        ledger.append((name, Status(int(status[i])).label, f"mid {mid[i]:g}, intrinsic {intrinsic:.6g}"))
    good = (status == Status.OK) & (iv <= _MAX_IV)
    table = options[["instrument", "expiry", "strike", "is_call"]].assign(
        mid=mid / share, forward=forward, tau=tau, k=np.log(strike / forward), bid=options["bid"] / share,
        ask=options["ask"] / share, spread=(options["ask"] - options["bid"]) / share, iv=iv,
    )  # fmt: skip
    return OwnVols(frame=table[good], ledger=tuple(ledger))
