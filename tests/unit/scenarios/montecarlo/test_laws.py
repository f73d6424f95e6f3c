"""Laws against their closed forms: normal and t covariance, jump cumulants, GARCH variance, correlation."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.special import gamma

from pmkit.core.errors import ConventionError, DataGapError, ParameterError
from pmkit.estimation import VolatilityModel, fit_copula, fit_correlation
from pmkit.market import MarketSnapshot
from pmkit.scenarios import (
    Factor,
    FactorCovariance,
    GarchPaths,
    JumpDiffusion,
    KouJumps,
    MertonJumps,
    StudentLaw,
    factor_covariance,
    monte_carlo,
)

NAMES = ["BTC", "ETH"]
R = pd.DataFrame([[1.0, 0.8], [0.8, 1.0]], NAMES, NAMES)
MERTON = MertonJumps(volatility=0.5, intensity=12.0, mean=-0.05, sd=0.08)
KOU = KouJumps(volatility=0.5, intensity=12.0, up_share=0.3, up_mean=0.04, down_mean=0.07)
N = 65_536


def cumulants(x) -> list[float]:
    m = x.mean()
    d = x - m
    return [m, (d**2).mean(), (d**3).mean(), (d**4).mean() - 3.0 * (d**2).mean() ** 2]


@pytest.fixture(scope="module")
def models(history) -> dict[str, VolatilityModel]:
    p = {"omega": 2e-5, "alpha": 0.06, "gamma": 0.08, "beta": 0.87, "mu": 0.001}
    return {
        n: VolatilityModel.from_parameters(p, history.returns()[n], "gjr", "normal", annualisation=365)
        for n in NAMES
    }


@pytest.fixture(scope="module")
def residuals(models) -> pd.DataFrame:
    return pd.DataFrame({n: m.residuals for n, m in models.items()})


# -- all factors at once ------------------------------------------------------------------------------------
@pytest.mark.parametrize("nu", [math.inf, 6.0])
def test_all_factors_have_the_covariance(history, snapshot, nu: float) -> None:
    law = factor_covariance(history, snapshot, horizon=2)
    scen = monte_carlo(StudentLaw(law, nu), snapshot, n_paths=N)
    assert scen.factors == law.factors and scen.horizon_days == 2.0
    drawn = np.cov(scen.shocks, rowvar=False)
    worst = float(np.abs((drawn - law.matrix) / np.outer(law.sd, law.sd)).max())
    assert worst < (2e-3 if math.isinf(nu) else 0.02)
    # antithetic pairs: the mean is 0 but for rounding
    assert float(np.abs(scen.shocks.mean(axis=0) / law.sd).max()) < 1e-12


def test_t_scaling_in_closed_form() -> None:
    """Unit variance: E|x| = sqrt((nu-2)/pi) Gamma((nu-1)/2)/Gamma(nu/2), kurtosis 3 (nu-2)/(nu-4)."""
    nu, snap = 9.0, MarketSnapshot.from_marks("2026-08-01T00:00:00Z", {"BTC": 1.0})
    law = FactorCovariance(factors=(Factor("spot", "BTC"),), matrix=np.array([[0.04]]), horizon_days=1.0)
    x = monte_carlo(StudentLaw(law, nu), snap, n_paths=N).shocks[:, 0] / 0.2
    assert np.mean(np.abs(x)) == pytest.approx(
        math.sqrt((nu - 2) / math.pi) * gamma((nu - 1) / 2) / gamma(nu / 2), rel=1e-3
    )
    assert np.mean(x * x) == pytest.approx(1.0, rel=2e-3)
    assert np.mean(x**4) == pytest.approx(3.0 * (nu - 2) / (nu - 4), rel=0.02)
    # the same mixing drives all factors: squares correlate although the moves do not
    both = FactorCovariance(
        factors=(Factor("spot", "BTC"), Factor("vol", "BTC")), matrix=np.eye(2) * 0.01, horizon_days=1.0
    )
    y = monte_carlo(StudentLaw(both, nu), snap, n_paths=N).shocks
    squares = np.corrcoef(y[:, 0] ** 2, y[:, 1] ** 2)[0, 1]
    k = (nu - 2) / (nu - 4)
    assert squares == pytest.approx((k - 1.0) / (3.0 * k - 1.0), abs=0.03)
    assert abs(np.corrcoef(y[:, 0], y[:, 1])[0, 1]) < 5e-3


def test_a_covariance_alone_is_the_normal_law(history, snapshot) -> None:
    law = factor_covariance(history, snapshot)
    a, b = monte_carlo(law, snapshot, n_paths=512), monte_carlo(StudentLaw(law), snapshot, n_paths=512)
    assert np.array_equal(a.shocks, b.shocks) and a.provenance.id == b.provenance.id
    assert a.provenance.simulated and a.provenance.seed == 20260801
    assert (
        a.notes[0]
        == "simulated: normal with the covariance of all factors; sobol, antithetic pairs, replicate 0"
    )


# -- jumps --------------------------------------------------------------------------------------------------
def test_merton_moments_by_hand() -> None:
    """Raw moments of a normal jump, m = -0.05, s = 0.08, written out."""
    m, s = -0.05, 0.08
    want = [m, m**2 + s**2, m**3 + 3 * m * s**2, m**4 + 6 * m**2 * s**2 + 3 * s**4]
    assert [MERTON.moment(k) for k in (1, 2, 3, 4)] == pytest.approx(want, rel=1e-15)
    t = 10.0 / 365.0
    law = JumpDiffusion(margins={"BTC": MERTON})
    assert law.cumulants("BTC", 10.0).tolist() == pytest.approx(
        [0.0, t * (0.25 + 12 * want[1]), t * 12 * want[2], t * 12 * want[3]], rel=1e-12, abs=1e-15
    )


def test_kou_moments_by_quadrature() -> None:
    from scipy.integrate import quad

    p, a, b = KOU.up_share, KOU.up_mean, KOU.down_mean
    for k in (1, 2, 3, 4):
        up = quad(lambda x, k=k: x**k * p / a * math.exp(-x / a), 0.0, 3.0)[0]
        down = quad(lambda x, k=k: (-x) ** k * (1 - p) / b * math.exp(-x / b), 0.0, 5.0)[0]
        assert KOU.moment(k) == pytest.approx(up + down, rel=1e-9)
    grown = quad(lambda x: math.exp(x) * p / a * math.exp(-x / a), 0.0, 3.0)[0]
    grown += quad(lambda x: math.exp(-x) * (1 - p) / b * math.exp(-x / b), 0.0, 5.0)[0]
    assert KOU.growth() == pytest.approx(grown - 1.0, rel=1e-8)


@pytest.mark.parametrize("margin", [MERTON, KOU], ids=["merton", "kou"])
@pytest.mark.parametrize("sampler", ["sobol", "pseudo"])
def test_simulated_cumulants(snapshot, margin, sampler) -> None:
    law = JumpDiffusion(margins=dict.fromkeys(NAMES, margin), correlation=R)
    scen = monte_carlo(law, snapshot, n_paths=N, horizon=5, sampler=sampler)
    want = law.cumulants("BTC", 5.0)
    for name in NAMES:
        found = cumulants(scen.column("spot", name))
        assert abs(found[0]) < 4.0 * math.sqrt(want[1] / N)
        assert found[1] == pytest.approx(want[1], rel=0.025)
        assert found[2] == pytest.approx(want[2], rel=0.12)
        assert found[3] == pytest.approx(want[3], rel=0.25)


@pytest.mark.parametrize("margin", [MERTON, KOU], ids=["merton", "kou"])
def test_martingale_drift(snapshot, margin) -> None:
    law = JumpDiffusion(margins={"BTC": margin}, drift="martingale")
    x = monte_carlo(law, snapshot, n_paths=N, horizon=10).column("spot", "BTC")
    assert np.mean(np.exp(x)) == pytest.approx(1.0, abs=4.0 * x.std() / math.sqrt(N))


def test_common_jumps_come_on_the_same_days(snapshot) -> None:
    """Hardly any diffusion: the correlation of moves is that of the jumps."""
    jump = MertonJumps(volatility=1e-6, intensity=60.0, mean=-0.1, sd=1e-6)
    for common, want in ((True, 1.0), (False, 0.0)):
        law = JumpDiffusion(margins=dict.fromkeys(NAMES, jump), common=common)
        scen = monte_carlo(law, snapshot, n_paths=8192, horizon=3)
        found = np.corrcoef(scen.column("spot", "BTC"), scen.column("spot", "ETH"))[0, 1]
        assert found == pytest.approx(want, abs=0.03)


def test_several_kou_jumps_a_day_are_all_there(snapshot) -> None:
    busy = KouJumps(volatility=0.0, intensity=1095.0, up_share=0.5, up_mean=0.02, down_mean=0.02)
    law = JumpDiffusion(margins={"BTC": busy})
    x = monte_carlo(law, snapshot, n_paths=16_384, horizon=1).column("spot", "BTC")
    want = law.cumulants("BTC", 1.0)
    assert np.var(x) == pytest.approx(want[1], rel=0.04) and want[1] == pytest.approx(3 * 8e-4, rel=1e-12)
    assert (x == 0.0).mean() == pytest.approx(math.exp(-3.0), abs=0.006)


# -- fitted models ------------------------------------------------------------------------------------------
def test_variance_over_days_is_the_forecast(models, residuals, snapshot) -> None:
    law = GarchPaths(models=models, dependence=fit_correlation(residuals, "ccc"))
    scen = monte_carlo(law, snapshot, n_paths=N, horizon=5)
    for name in NAMES:
        want = models[name].forecast(5).total_sigma[-1]
        assert scen.column("spot", name).std() == pytest.approx(want, rel=0.01)


def test_first_day_is_the_forecast_covariance_of_the_dcc(models, residuals, snapshot) -> None:
    dcc = fit_correlation(residuals, "cdcc")
    scen = monte_carlo(GarchPaths(models=models, dependence=dcc), snapshot, n_paths=N, horizon=1)
    S = np.cov(scen.column("spot", "BTC"), scen.column("spot", "ETH"))
    sigma = [models[n].next_sigma for n in NAMES]
    want = sigma[0] * sigma[1] * dcc.next_correlation.loc["BTC", "ETH"]
    assert S[0, 1] == pytest.approx(want, rel=5e-3)
    assert math.sqrt(S[0, 0]) == pytest.approx(sigma[0], rel=2e-3)


def test_correlation_of_the_fifth_day_is_the_simulated_forecast(models, residuals) -> None:
    dcc = fit_correlation(residuals, "cdcc")
    law = GarchPaths(models=models, dependence=dcc)
    from pmkit.scenarios.montecarlo.sampler import Sampler

    days = 5
    daily, sigma = law.paths(*Sampler(n_paths=N).draw(*law.dimensions(days)), days, 1)
    z = [daily[n][:, -1] / sigma[n][:, -1] for n in NAMES]
    forecast = dcc.forecast(days, "simulation", paths=20_000).at(days).loc["BTC", "ETH"]
    assert np.mean(z[0] * z[1]) == pytest.approx(forecast, abs=0.01)


def test_t_innovations_keep_the_variance(models, snapshot) -> None:
    law = GarchPaths(models={"BTC": models["BTC"]}, nu=6.0)
    x = monte_carlo(law, snapshot, n_paths=N, horizon=1).column("spot", "BTC") / models["BTC"].next_sigma
    assert np.mean(x * x) == pytest.approx(1.0, rel=0.02) and np.mean(x**4) > 4.5


def test_levels_start_the_volatility(models, snapshot) -> None:
    law = GarchPaths(models={"BTC": models["BTC"]}, levels={"BTC": 0.73})
    x = monte_carlo(law, snapshot, n_paths=N, horizon=1).column("spot", "BTC")
    assert x.std() == pytest.approx(0.73 / math.sqrt(365.0), rel=2e-3)


def test_copula_residuals_have_the_margins(models, residuals, snapshot) -> None:
    copula = fit_copula(residuals)
    scen = monte_carlo(GarchPaths(models=models, dependence=copula), snapshot, n_paths=N, horizon=1)
    for name in NAMES:
        z = scen.column("spot", name) / models[name].next_sigma
        for level in (0.01, 0.5, 0.99):
            want = float(copula.margins[name].quantile(np.array([level]))[0])
            assert np.quantile(z, level) == pytest.approx(want, abs=0.05)
    direct = copula.simulate_returns(50_000, 3)
    z = {n: scen.column("spot", n) / models[n].next_sigma for n in NAMES}
    assert np.corrcoef(z["BTC"], z["ETH"])[0, 1] == pytest.approx(direct.corr().iloc[0, 1], abs=0.02)


# -- what all share -----------------------------------------------------------------------------------------
def test_more_paths_begin_alike_for_every_law(history, snapshot, models, residuals) -> None:
    laws = (
        factor_covariance(history, snapshot),
        StudentLaw(factor_covariance(history, snapshot), 5.0),
        JumpDiffusion(margins=dict.fromkeys(NAMES, KOU), correlation=R),
        GarchPaths(models=models, dependence=fit_correlation(residuals, "ccc"), nu=7.0),
    )
    for law in laws:
        few, many = (monte_carlo(law, snapshot, n_paths=n) for n in (128, 512))
        assert np.array_equal(few.shocks, many.shocks[:128])
        other = monte_carlo(law, snapshot, n_paths=128, replicate=1)
        assert not np.array_equal(few.shocks, other.shocks) and few.fingerprint != other.fingerprint


def test_vol_and_fixings_follow_and_the_set_says_what_it_is(snapshot) -> None:
    law = JumpDiffusion(margins=dict.fromkeys(NAMES, MERTON), correlation=R)
    scen = monte_carlo(law, snapshot, n_paths=4096, horizon=3)
    assert {f.kind for f in scen.factors} == {"spot", "vol", "basis", "fixing"}
    slope = np.polyfit(scen.column("spot", "BTC"), scen.column("vol", "BTC"), 1)[0]
    assert slope == pytest.approx(-1.08, abs=0.05)
    words = scen.describe()["says"]
    assert scen.cite() == ("merton1976", "owen1997", "matousek1998", "joe2008")
    scen.check()
    assert words["horizon"] == "3 days" and "seed 20260801, simulated input" in words["source"]
    assert scen.notes[0].startswith(
        "simulated: jump-diffusion (BTC MertonJumps, ETH MertonJumps; jumps together)"
    )


def bad_margin(**changes) -> MertonJumps:
    return MertonJumps(**({"volatility": 0.5, "intensity": 1.0, "mean": 0.0, "sd": 0.1} | changes))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda s, m: StudentLaw(None, 2.0), ParameterError, "nu is 2.0"),
        (lambda s, m: bad_margin(volatility=-0.1), ParameterError, "volatility of MertonJumps is -0.1"),
        (lambda s, m: bad_margin(mean=math.nan), ParameterError, "mean of MertonJumps is nan"),
        (lambda s, m: bad_margin(intensity=True), ParameterError, "intensity of MertonJumps is True"),
        (
            lambda s, m: KouJumps(volatility=0.5, intensity=1.0, up_share=1.5, up_mean=0.1, down_mean=0.1),
            ParameterError,
            "a share of at most 1",
        ),
        (
            lambda s, m: KouJumps(volatility=0.5, intensity=1.0, up_share=0.5, up_mean=1.0, down_mean=0.1),
            ParameterError,
            "between 0 and 1",
        ),
        (lambda s, m: JumpDiffusion(margins={}), ParameterError, "0 margins"),
        (lambda s, m: JumpDiffusion(margins={"BTC": MERTON}, drift="up"), ParameterError, "drift 'up'"),
        (
            lambda s, m: JumpDiffusion(margins={"BTC": MERTON, "ETH": bad_margin()}),
            ConventionError,
            r"common jumps with intensities \[1.0, 12.0\]",
        ),
        (
            lambda s, m: JumpDiffusion(margins={"BTC": MERTON, "SOL": MERTON}, correlation=R),
            ConventionError,
            "the correlation has no SOL",
        ),
        (
            lambda s, m: JumpDiffusion(margins=dict.fromkeys(NAMES, MERTON), correlation=R * 2.0),
            ParameterError,
            "diagonal of correlation is 2",
        ),
        (lambda s, m: GarchPaths(models={}), ParameterError, "no volatility model"),
        (lambda s, m: GarchPaths(models=m), ConventionError, "2 models without dependence"),
        (lambda s, m: GarchPaths(models={"BTC": m["BTC"]}, nu=1.0), ParameterError, "nu is 1.0"),
        (
            lambda s, m: GarchPaths(models={"BTC": m["BTC"]}, levels={"BTC": 73.0}),
            ParameterError,
            "level of BTC is 73.0",
        ),
        (
            lambda s, m: monte_carlo(JumpDiffusion(margins={"SOL": MERTON}), s),
            Exception,
            "SOL",
        ),
        (
            lambda s, m: monte_carlo(JumpDiffusion(margins={"BTC": MERTON}), s, horizon=0),
            ParameterError,
            "horizon is 0",
        ),
        (
            lambda s, m: monte_carlo(JumpDiffusion(margins={"BTC": MERTON}), s, horizon=-3),
            ParameterError,
            "horizon is -3",
        ),
        (lambda s, m: monte_carlo("normal", s), ConventionError, "a law of type str"),
    ],
)
def test_bad_laws(snapshot, models, call, error, text: str) -> None:
    with pytest.raises(error, match=text):
        call(snapshot, models)


def test_bad_arguments_beside_a_covariance(history, snapshot, models, residuals) -> None:
    law = factor_covariance(history, snapshot)
    with pytest.raises(ConventionError, match="horizon, expiries or response beside a covariance"):
        monte_carlo(law, snapshot, horizon=2)
    rates = FactorCovariance(factors=(Factor("rate", "USD"),), matrix=np.eye(1) * 1e-4, horizon_days=1.0)
    with pytest.raises(DataGapError, match="the covariance holds no spot"):
        monte_carlo(rates, snapshot)
    with pytest.raises(ConventionError, match="the dependence covers BTC, ETH"):
        GarchPaths(models={"BTC": models["BTC"]}, dependence=fit_correlation(residuals, "ccc"))
    with pytest.raises(ConventionError, match="or beside nu"):
        GarchPaths(models=models, dependence=fit_copula(residuals), nu=5.0)
    shorter = models["ETH"].filter(history.returns()["ETH"].iloc[:200])
    with pytest.raises(ConventionError, match="BTC and ETH cover different dates"):
        GarchPaths(models={"BTC": models["BTC"], "ETH": shorter})
