"""The shipped response parameters are re-estimated from the daily option chains, where these are at hand."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student_t

import pmkit.scenarios

REFERENCE, SHORT, LONG = 30, (7, 14), (60, 90, 180)


def constant_maturity_vols(chain: pd.DataFrame) -> pd.DataFrame:
    """Spot and at-the-money vol by tenor (columns) per snapshot: total variance linear between expiries."""
    rows = []
    for stamp, day in chain.dropna(subset="forward").groupby("timestamp"):
        tau, variance = [], []
        for expiry, smile in day.groupby("expiry"):
            years = (expiry - stamp).total_seconds() / (365 * 86400)
            forward = smile["forward"].median()
            points = (
                smile.assign(k=np.log(smile["strike"] / forward)).drop_duplicates("strike").sort_values("k")
            )
            if years * 365 < 0.5 or len(points) < 3 or points["k"].iloc[0] > 0 or points["k"].iloc[-1] < 0:
                continue
            vol = np.interp(0.0, points["k"], points["mark_iv"])
            tau.append(years)
            variance.append(vol**2 * years)
        row = {"stamp": stamp, "spot": day["index"].median()}
        for tenor in (*SHORT, REFERENCE, *LONG):
            years = tenor / 365
            inside = tau[0] <= years <= tau[-1]
            row[tenor] = np.sqrt(np.interp(years, tau, variance) / years) if inside else np.nan
        rows.append(row)
    return pd.DataFrame(rows).set_index("stamp")


def basis_moves(chain: pd.DataFrame) -> pd.DataFrame:
    """Daily moves of ln(forward / shortest forward of the same snapshot) after carry has run off, by expiry.

    The index of a snapshot is not simultaneous with its forwards: ln(forward / index) moves by 0.1 % a day
    even at no maturity, with autocorrelation -0.4. The forwards of one snapshot are simultaneous.
    """
    table = chain.assign(days=(chain["expiry"] - chain["timestamp"]).dt.total_seconds() / 86400)
    table = (
        table.dropna(subset="forward")
        .query("days > 0.5")
        .groupby(["timestamp", "expiry"])
        .agg(days=("days", "first"), forward=("forward", "median"))
    )
    table = table.reset_index().sort_values(["timestamp", "days"])
    nearest = table.groupby("timestamp")[["days", "forward"]].transform("first")
    table["spread"] = np.log(table["forward"] / nearest["forward"])
    table["gap"] = table["days"] - nearest["days"]
    table = table.sort_values(["expiry", "timestamp"])
    before = table.groupby("expiry")[["days", "spread", "gap"]].shift()
    with np.errstate(divide="ignore", invalid="ignore"):
        table["move"] = table["spread"] - before["spread"] * table["gap"] / before["gap"]
    table["tenor"] = before["days"]
    keep = (before["gap"] > 0) & (table["gap"] > 0) & (before["days"] - table["days"] < 1.3)
    return table[keep]


def regress(y: pd.Series, x: pd.Series) -> dict[str, Any]:
    """Slope with classical and heteroscedasticity-robust (HC1) errors, R², residuals."""
    X = np.column_stack([np.ones(len(x)), x])
    inverse = np.linalg.inv(X.T @ X)
    coefficients = inverse @ X.T @ y.to_numpy()
    residuals = y - X @ coefficients
    free = len(y) - 2
    classical = float(np.sqrt(inverse[1, 1] * (residuals**2).sum() / free))
    meat = (X * residuals.to_numpy()[:, None] ** 2).T @ X
    robust = float(np.sqrt((inverse @ meat @ inverse)[1, 1] * len(y) / free))
    spread = float(np.sqrt((residuals**2).sum() / free))
    r2 = 1.0 - float((residuals**2).sum() / ((y - y.mean()) ** 2).sum())
    slope = float(coefficients[1])
    return {"slope": slope, "se": classical, "robust": robust, "r2": r2, "sd": spread, "residuals": residuals}


def degrees_of_freedom(standardised: np.ndarray) -> float:
    """Degrees of freedom of a Student t with variance 1 that fits best, by likelihood on a grid of 0.1."""
    grid = np.arange(2.5, 30.05, 0.1)
    fit = [student_t.logpdf(standardised, v, scale=np.sqrt((v - 2) / v)).sum() for v in grid]
    return float(grid[int(np.argmax(fit))])


def estimate(folder: Path) -> dict[str, Any]:
    """Every number of the parameter file."""
    found: dict[str, Any] = {"underlying": {}}
    vol_residuals, basis_residuals, short, long = {}, {}, [], []
    powers: list[tuple[float, float]] = []
    moves, logs = {}, {}
    for coin in ("BTC", "ETH"):
        chain = pd.read_parquet(folder / f"{coin.lower()}_daily_dev_2025-12-30_2026-04-30.parquet")
        logs[coin] = np.log(constant_maturity_vols(chain)).diff().iloc[1:]
        moves[coin] = basis_moves(chain)
        for tenors, collected in ((SHORT, short), (LONG, long)):
            for tenor in tenors:
                pair = logs[coin][[tenor, REFERENCE]].dropna()
                slope = pair[tenor].cov(pair[REFERENCE]) / pair[REFERENCE].var()
                collected.append((np.log(REFERENCE / tenor), np.log(slope)))
        tenor = moves[coin]["tenor"]
        for _, part in moves[coin].groupby(
            pd.cut(tenor, [0, 3, 7, 14, 30, 60, 90, 150, 240, 450]), observed=True
        ):
            powers.append((np.log(part["tenor"].mean() / REFERENCE), np.log(part["move"].std())))
    found["short_power"], found["long_power"] = (
        sum(x * y for x, y in pairs) / sum(x * x for x, _ in pairs) for pairs in (short, long)
    )
    x, y = np.array(powers).T
    found["basis_power"] = float(np.polyfit(x, y, 1)[0])
    for coin in ("BTC", "ETH"):
        spot = logs[coin]["spot"]
        vol = regress(logs[coin][REFERENCE], spot)
        scaled = moves[coin].assign(
            move=moves[coin]["move"] / (moves[coin]["tenor"] / REFERENCE) ** found["basis_power"],
            spot=spot.reindex(moves[coin]["timestamp"]).to_numpy(),
        )
        basis = regress(scaled["move"], scaled["spot"])
        vol_residuals[coin] = vol["residuals"]
        basis_residuals[coin] = scaled.assign(residual=basis["residuals"] / basis["sd"])
        found["underlying"][coin] = {
            "observations": len(spot),
            "largest_fall": float(spot.min()),
            "vol_slope": vol["slope"],
            "vol_slope_se": vol["se"],
            "vol_slope_se_robust": vol["robust"],
            "vol_r2": vol["r2"],
            "vol_residual_sd": vol["sd"],
            "basis_observations": len(scaled),
            "basis_slope": basis["slope"],
            "basis_slope_se": basis["se"],
            "basis_r2": basis["r2"],
            "basis_residual_sd": basis["sd"],
        }
    vols = pd.DataFrame(vol_residuals)
    found["vol_correlation"] = float(vols.corr().iloc[0, 1])
    found["vol_df"] = degrees_of_freedom((vols / vols.std()).to_numpy().ravel())
    both = pd.concat(basis_residuals)
    found["basis_df"] = degrees_of_freedom(both["residual"].to_numpy())
    cross = [r.set_index(["timestamp", "expiry"])["residual"] for r in basis_residuals.values()]
    found["basis_correlation"] = float(pd.concat(cross, axis=1).dropna().corr().iloc[0, 1])
    found["basis_decay"] = decay(list(basis_residuals.values()))
    return found


def decay(samples: list[pd.DataFrame]) -> float:
    """Least-squares κ of corr = exp(−κ |ln(T1/T2)|) over residuals of expiries from 7 days on."""
    distance, product = [], []
    for sample in samples:
        for _, day in sample[sample["tenor"] >= 7].groupby("timestamp"):
            i, j = np.triu_indices(len(day), 1)
            tenor, z = day["tenor"].to_numpy(), day["residual"].to_numpy()
            distance.append(np.abs(np.log(tenor[i] / tenor[j])))
            product.append(z[i] * z[j])
    d, p = np.concatenate(distance), np.concatenate(product)
    grid = np.arange(0.0, 2.0005, 0.001)
    return float(grid[int(np.argmin([((p - np.exp(-k * d)) ** 2).sum() for k in grid]))])


@pytest.mark.extra_data
def test_parameter_file_holds_the_estimates(extra_data: Path) -> None:
    found = estimate(extra_data / "deribit_chains_2026")
    folder = Path(pmkit.scenarios.__file__).parent / "params"
    shipped = tomllib.loads((folder / "deribit-btc-eth-2026-04.toml").read_text(encoding="utf-8"))
    rounded = {
        ("vol", "short_power"): found["short_power"],
        ("vol", "long_power"): found["long_power"],
        ("vol", "residual_df"): found["vol_df"],
        ("vol", "residual_correlation"): found["vol_correlation"],
        ("basis", "power"): found["basis_power"],
        ("basis", "residual_df"): found["basis_df"],
        ("basis", "expiry_decay"): found["basis_decay"],
        ("basis", "residual_correlation"): found["basis_correlation"],
    }
    for (part, key), value in rounded.items():
        assert shipped[part][key] == pytest.approx(float(f"{value:.4g}"), abs=0.0), (part, key)
    for coin, numbers in found["underlying"].items():
        assert set(numbers) == set(shipped["underlying"][coin])
        for key, value in numbers.items():
            assert shipped["underlying"][coin][key] == pytest.approx(float(f"{value:.4g}"), abs=0.0), (
                coin,
                key,
            )


@pytest.mark.extra_data
def test_index_is_not_simultaneous_with_the_forwards(extra_data: Path) -> None:
    """Why the basis is taken against the shortest forward: the index lags."""
    chain = pd.read_parquet(
        extra_data / "deribit_chains_2026" / "btc_daily_dev_2025-12-30_2026-04-30.parquet"
    )
    table = (
        chain.dropna(subset="forward")
        .groupby(["expiry", "timestamp"])
        .agg(forward=("forward", "median"), index=("index", "median"))
    )
    june = np.log(table["forward"] / table["index"]).loc[pd.Timestamp("2026-06-26T08:00Z")].diff().dropna()
    spread = basis_moves(chain)
    june_spread = spread.loc[spread["expiry"] == pd.Timestamp("2026-06-26T08:00Z"), "move"]
    assert june.autocorr() < -0.3
    assert abs(june_spread.autocorr()) < 0.15
    assert june.std() > 1.5 * june_spread.std()
