"""Closed-form first and second derivatives of Black-76 prices, in quote currency and in coin."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from pmkit.core.errors import ConventionError
from pmkit.core.types import BoolArray, FloatArray
from pmkit.pricing.inputs import as_flags, as_floats, broadcast, check_settlement, place, unwrap
from pmkit.pricing.numeric import INV_SQRT_TWO_PI
from pmkit.pricing.otm import black_values

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Greeks", "greeks"]


@dataclass(frozen=True, kw_only=True)
class Greeks:
    """Price and derivatives of one option or of an array of options, per unit of underlying held long.

    "Value" is the price in quote currency for ``settlement="linear"`` and in coin for ``"inverse"``; quote
    currency is written USD. Each field is a float or an array of the broadcast shape. Volatility is in
    decimals (a vega per percentage point is ``vega/100``), time in years (a theta per day is ``theta/365``).

    Parameters
    ----------
    settlement : str
        ``"linear"`` or ``"inverse"``.
    price : float or ndarray
        Value: USD, or coin.
    delta : float or ndarray
        d value / d F. Linear: a number between -df and df. Inverse: coin per USD.
    gamma : float or ndarray
        d2 value / d F2. Linear: 1/USD. Inverse: coin/USD**2, negative for deep in-the-money calls.
    vega : float or ndarray
        d value / d iv, per 1.00 of volatility.
    theta : float or ndarray
        -d value / d tau, per year, with F, K, iv and the rate ``-ln(df)/tau`` held.
    rho : float or ndarray
        d value / d rate with F held, per 1.00 of rate: ``-tau*price``. Inverse: 0, coin values carry no
        discount.
    vanna : float or ndarray
        d2 value / (d F d iv).
    volga : float or ndarray
        d2 value / d iv2.
    charm : float or ndarray
        -d delta / d tau, per year, with the same held as for theta.
    veta : float or ndarray
        -d vega / d tau, per year, likewise.
    dual_delta : float or ndarray
        d value / d K.
    dual_gamma : float or ndarray
        d2 value / d K2; linear with df = 1: the density of the settlement price at K.
    delta_black : float or ndarray
        ``Phi(d1)`` or ``-Phi(-d1)``: derivative of the undiscounted USD value by F, in underlying units.
    delta_pa : float or ndarray
        Premium-adjusted forward delta ``delta_black - (undiscounted USD price)/F``; inverse: ``F dc/dF``, the
        coins to hedge with when the premium itself is coin. NaN at F = 0.
    price_usd, gamma_usd, vega_usd, theta_usd : float or ndarray
        The same option's value in USD, discounted by df (inverse: ``F*c``), and its derivatives by F
        (second), iv and time; equal to the plain fields for linear settlement. With ``delta_black`` these
        are the USD greeks of a coin-settled option.
    """

    settlement: str
    price: Any
    delta: Any
    gamma: Any
    vega: Any
    theta: Any
    rho: Any
    vanna: Any
    volga: Any
    charm: Any
    veta: Any
    dual_delta: Any
    dual_gamma: Any
    delta_black: Any
    delta_pa: Any
    price_usd: Any
    gamma_usd: Any
    vega_usd: Any
    theta_usd: Any

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name, arrays as lists.

        Examples
        --------
        >>> round(greeks(100.0, 100.0, 1.0, 0.2).to_dict()["delta"], 6)
        0.539828
        """
        return {
            field.name: value.tolist()
            if isinstance(value := getattr(self, field.name), np.ndarray)
            else value
            for field in fields(self)
        }

    def to_frame(self) -> pd.DataFrame:
        """Return a frame with one row an option (arrays flattened in C order) and one column a greek.

        Examples
        --------
        >>> greeks(100.0, [90.0, 110.0], 1.0, 0.2).to_frame()["delta"].round(4).tolist()
        [0.7346, 0.3533]
        """
        import pandas as pd

        columns = {f.name: np.ravel(getattr(self, f.name)) for f in fields(self) if f.name != "settlement"}
        return pd.DataFrame(columns)


def greeks(
    F: npt.ArrayLike,
    K: npt.ArrayLike,
    tau: npt.ArrayLike,
    iv: npt.ArrayLike,
    df: npt.ArrayLike = 1.0,
    is_call: bool | npt.ArrayLike = True,
    settlement: str = "linear",
) -> Greeks:
    """Return price and greeks of European options, in quote currency (linear) or in coin (inverse).

    All derivatives are by the forward and hold the discount rate; the Notes give the chain rule for spot
    greeks. All arguments broadcast together; NaN in an element gives NaN in that element.

    Parameters
    ----------
    F : array_like
        Forward of the expiry, quote currency, 0 or more (above 0 for inverse settlement).
    K : array_like
        Strike, quote currency, 0 or more.
    tau : array_like
        Time to expiry in years, 0 or more.
    iv : array_like
        Implied volatility, annualised decimal, 0 or more.
    df : array_like
        Discount factor, above 0; must be 1 for inverse settlement.
    is_call : bool or array_like of bool
        True for a call, False for a put.
    settlement : {"linear", "inverse"}
        Currency of premium and payoff: quote currency or coin.

    Returns
    -------
    Greeks
        See the class for every field and its unit. Where ``iv sqrt(tau) = 0`` the option is worth its
        intrinsic value: the greeks are those of the payoff; exactly at ``F = K`` the payoff has a kink and
        all derivatives are NaN.

    Raises
    ------
    ParameterError
        If an element lies outside its range, or the shapes do not broadcast.
    ConventionError
        If ``df`` differs from 1 under inverse settlement.

    Notes
    -----
    With B the undiscounted Black-76 price, Delta and Gamma its derivatives by F, the coin price is c = B/F
    and ``dc/dF = (Delta - c)/F``, ``d2c/dF2 = Gamma/F - 2 (Delta - c)/F**2``. For spot S with rate r and
    carry yield q, ``F = S exp((r - q) tau)`` and ``df = exp(-r tau)`` turn these into Black-Scholes greeks:
    ``delta_S = delta F/S``, ``gamma_S = gamma (F/S)**2``, ``theta_S = theta - (r - q) F delta``,
    ``rho_S = rho + tau F delta``, and the derivative by q is ``-tau F delta``.

    References
    ----------
    Black (1976), equation (16); Haug (2007), chapter 2.

    Examples
    --------
    >>> g = greeks(60_000.0, 65_000.0, 30 / 365, 0.55, settlement="inverse")
    >>> round(g.price, 8), round(g.delta_black, 8), round(g.delta_pa, 8)
    (0.03202655, 0.33403906, 0.30201251)
    """
    inverse = check_settlement(settlement)
    arrays: dict[str, np.ndarray[Any, Any]] = {
        "F": as_floats("F", F, "a forward price in quote currency", positive=inverse),
        "K": as_floats("K", K, "a strike price in quote currency"),
        "tau": as_floats("tau", tau, "a time to expiry in years"),
        "iv": as_floats("iv", iv, "an annualised implied volatility (decimal)"),
        "df": as_floats("df", df, "a discount factor", positive=True),
        "is_call": as_flags("is_call", is_call),
    }
    if inverse:
        require_unit_discount(arrays["df"])
    shape, (forward, strike, years, vol, discount, flags) = broadcast(arrays)
    linear = _linear(forward, strike, years, vol, discount, flags)
    values = _inverse(forward, linear) if inverse else linear
    return Greeks(settlement=settlement, **{name: unwrap(array, shape) for name, array in values.items()})


def require_unit_discount(df: FloatArray) -> None:
    """Raise ConventionError unless every discount factor is 1 or NaN, as inverse settlement demands."""
    other = ~(np.isnan(df) | (df == 1.0))
    if other.any():
        index = tuple(int(i) for i in np.argwhere(other)[0])
        raise ConventionError(
            f"{place('df', index)} is {float(df[index])!r} with settlement='inverse'",
            "df = 1: a coin-settled option is worth Black-76/F without discounting",
            "leave df out, or use settlement='linear'",
        )


def _linear(
    forward: FloatArray, strike: FloatArray, tau: FloatArray, iv: FloatArray, df: FloatArray, call: BoolArray
) -> dict[str, FloatArray]:
    """Return every field of Greeks for linear settlement, flat."""
    undiscounted = np.empty(forward.size)
    black_values(forward, strike, tau, iv, call, undiscounted)
    with np.errstate(all="ignore"):
        root = np.sqrt(tau)
        total_vol = iv * root
        scaled_move = _log_moneyness(forward, strike) / total_vol
        d1 = scaled_move + 0.5 * total_vol
        d2 = scaled_move - 0.5 * total_vol
        sign = np.where(call, 1.0, -1.0)
        delta_black = sign * ndtr(sign * d1)
        dual = -sign * ndtr(sign * d2)
        pdf = INV_SQRT_TWO_PI * np.exp(-0.5 * d1 * d1)
        rate = np.where(tau > 0.0, -np.log(df) / tau, 0.0)
        density = df * pdf
        gamma = density / (forward * total_vol)
        vega = density * forward * root
        decay = 0.5 * density * forward * iv / root
        vanna = -density * d2 / iv
        volga = vega * d1 * d2 / iv
        charm = 0.5 * density * d2 / tau
        veta = -vega * (1.0 + d1 * d2) / (2.0 * tau)
        dual_gamma = gamma * np.square(forward / strike)
        pa = delta_black - undiscounted / forward
        # no density where the price is intrinsic, or where the exponential has underflowed
        flat = ((total_vol == 0.0) | (forward == 0.0) | (strike == 0.0) | (pdf == 0.0)) & ~np.isnan(
            undiscounted
        )
        for array in (gamma, vega, decay, vanna, volga, charm, veta, dual_gamma):
            array[flat] = 0.0
        pa[forward == 0.0] = np.nan
        missing = np.isnan(undiscounted + df)
        kink = (total_vol == 0.0) & (forward == strike)
    price = df * undiscounted
    theta = rate * price - decay
    values = {
        "price": price,
        "delta": df * delta_black,
        "gamma": gamma,
        "vega": vega,
        "theta": theta,
        "rho": -tau * price,
        "vanna": vanna,
        "volga": volga,
        "charm": charm + rate * df * delta_black,
        "veta": veta + rate * vega,
        "dual_delta": df * dual,
        "dual_gamma": dual_gamma,
        "delta_black": delta_black,
        "delta_pa": pa,
    }
    for name, array in values.items():
        array[missing | (kink & (name not in ("price", "rho")))] = np.nan
    values |= {f"{name}_usd": values[name] for name in ("price", "gamma", "vega", "theta")}
    return values


def _inverse(forward: FloatArray, linear: dict[str, FloatArray]) -> dict[str, FloatArray]:
    """Return every field of Greeks for inverse settlement from those for linear settlement with df = 1."""
    coin = linear["price"] / forward
    adjusted = linear["delta_pa"]
    return linear | {
        "price": coin,
        "delta": adjusted / forward,
        "gamma": linear["gamma"] / forward - 2.0 * adjusted / forward**2,
        "vega": linear["vega"] / forward,
        "theta": linear["theta"] / forward,
        "rho": 0.0 * coin,
        "vanna": linear["vanna"] / forward - linear["vega"] / forward**2,
        "volga": linear["volga"] / forward,
        "charm": linear["charm"] / forward - linear["theta"] / forward**2,
        "veta": linear["veta"] / forward,
        "dual_delta": linear["dual_delta"] / forward,
        "dual_gamma": linear["dual_gamma"] / forward,
    }


def _log_moneyness(forward: FloatArray, strike: FloatArray) -> FloatArray:
    """Return ln(F/K), by log1p of the exact difference where the two are within a factor of 2."""
    near = (forward < 2.0 * strike) & (strike < 2.0 * forward)
    result: FloatArray = np.where(
        near, np.log1p((forward - strike) / strike), np.log(forward) - np.log(strike)
    )
    return result
