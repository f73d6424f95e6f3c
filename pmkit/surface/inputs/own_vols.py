"""Own implied vols: the mids of a chain inverted at once, with a reason for every option without one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmkit.core.errors import ConventionError
from pmkit.core.plotting import new_axes
from pmkit.core.result import Result
from pmkit.core.status import Status
from pmkit.core.time import parse_utc, year_fraction
from pmkit.market.quotes import Quotes
from pmkit.pricing import implied_vol
from pmkit.surface.arguments import check_curve
from pmkit.surface.inputs.forwards import ForwardCurve

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["OwnVols", "own_vols"]

#: Vols above this are noise of a tick on an option about to settle, not information.
_MAX_IV = 5.0
#: A curve from this long before or after the quotes is of another day.
_ONE_DAY = pd.Timedelta(days=1)


@dataclass(frozen=True, kw_only=True, repr=False)
class OwnVols(Result):
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

    def summary(self) -> pd.DataFrame:
        """Return one row per expiry: tau, forward, vols, least, median and greatest vol."""
        by_expiry = self.frame.groupby("expiry")
        vols = by_expiry["iv"].agg(vols="size", iv_min="min", iv_median="median", iv_max="max")
        return by_expiry[["tau", "forward"]].first().join(vols).reset_index()

    def to_frame(self) -> pd.DataFrame:
        """Return one row per option with a vol."""
        return self.frame.copy()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the vols over k, one colour an expiry, and return the axes."""
        axes = new_axes(ax, (6.0, 4.0))
        for expiry, rows in self.frame.groupby("expiry", sort=True):
            axes.plot(rows["k"], rows["iv"], ".", label=pd.Timestamp(str(expiry)).strftime("%Y-%m-%d"))
        axes.set_xlabel("k = ln(K/F)")
        axes.set_ylabel("implied vol")
        axes.legend(frameon=False, fontsize="small")
        return axes


def own_vols(quotes: Quotes, curve: ForwardCurve, *, as_of: str | pd.Timestamp | None = None) -> OwnVols:
    """Return the implied vols (decimal) of the option mids of one underlying, on the forwards of ``curve``.

    Premiums in quote currency are discounted by the factors of the curve. In-the-money mids are inverted
    through parity. Mids below the intrinsic value on the forward have none; they and every other failure
    stand in the ledger.

    Parameters
    ----------
    quotes : Quotes
    curve : ForwardCurve
    as_of : str or Timestamp, optional
        Instant of the curve where it is meant to differ from that of the quotes by a day or more.

    Raises
    ------
    ConventionError
        Quotes and curve are of different settlement, or a day or more apart and ``as_of`` does not say so.

    Examples
    --------
    >>> from pmkit.market import datasets, read_quotes
    >>> from pmkit.surface import forward_curve
    >>> quotes = read_quotes(datasets.path("deribit-btc-2026-08-01"))
    >>> len(own_vols(quotes, forward_curve(quotes, "BTC")).by_name)
    786
    """
    check_curve(quotes, curve)
    instant = quotes.as_of if as_of is None else parse_utc(as_of)
    if abs(curve.as_of - instant) >= _ONE_DAY:
        raise ConventionError(
            f"a curve of {curve.as_of.isoformat()} for {instant.isoformat()}",
            "instants less than a day apart",
            "make the curve from these quotes, or say as_of=curve.as_of",
        )
    frame = quotes.of_underlying(curve.underlying)
    options = frame[(frame["kind"] == "option") & frame["mid"].notna()]
    ledger = [
        (str(name), "no_forward", "its expiry has no forward")
        for name in options.loc[~options["expiry"].isin(list(curve.quotes)), "instrument"]
    ]
    options = options[options["expiry"].isin(list(curve.quotes))]
    which, expiries = pd.factorize(options["expiry"])
    facts = [(curve.quotes[e].price, year_fraction(curve.as_of, e), curve.discount(e)) for e in expiries]
    forward, tau, df = np.array(facts, dtype=np.float64).reshape(-1, 3)[which].T.copy()
    strike, mid = options["strike"].to_numpy(), options["mid"].to_numpy()
    is_call = options["is_call"].to_numpy(dtype=bool)
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
