"""Published and independently computed figures of ES backtests, digit by digit."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import chi2, norm
from scipy.stats import t as student

from pmkit.backtest.es.null_law import TailLaw
from pmkit.backtest.es_tests import (
    PitSeries,
    TailSeries,
    acerbi_szekely,
    compare_forecasts,
    costanzino_curran,
    du_escanciano,
    du_escanciano_conditional,
    e_backtest,
    e_process,
    fz0_score,
    mcneil_frey,
    minimally_biased,
    nolde_ziegel,
    tick_score,
)
from pmkit.backtest.var_tests import kupiec

FEW = {"draws": 99}
TOY = TailSeries(
    loss=[0.5, 2.2, -1.0, 3.1, 0.2, -0.4, 2.6, 0.1, 0.9, -2.0], var=[2.0] * 10, es=[2.5] * 10, level=0.9
)
BETS = TailSeries(loss=[1.0, 3.0, 0.5, 2.5, 4.0, 1.0], var=[2.0] * 6, es=[3.0] * 6, level=0.9)


@pytest.fixture(scope="module")
def index_runs() -> dict[tuple[str, float], tuple[TailSeries, PitSeries, np.ndarray]]:
    """Index of 1999 to 2018 against two normal volatility forecasts: losses, probabilities, deviations."""
    from arch.data import sp500

    price = sp500.load()["Adj Close"]
    returns = (100.0 * np.log(price / price.shift(1))).iloc[1:]
    assert f"{returns.mean():.10f} {returns.std():.10f}" == "0.0141860593 1.2038393016"
    variance, smooth = float((returns.iloc[:250] ** 2).mean()), []
    for value in returns.iloc[250:]:
        smooth.append(variance**0.5)
        variance = 0.94 * variance + 0.06 * value**2
    deviation = {
        "sd": returns.rolling(250).std(ddof=1).shift(1).iloc[250:].to_numpy(),
        "ew": np.array(smooth),
    }
    loss, runs = -returns.iloc[250:].to_numpy(), {}
    for model, p in (("sd", 0.01), ("sd", 0.025), ("ew", 0.025), ("ew", 0.05)):
        sigma = deviation[model]
        z = norm.ppf(p)
        tail = TailSeries(loss=loss, var=-sigma * z, es=sigma * norm.pdf(z) / p, level=1.0 - p)
        runs[model, p] = (tail, PitSeries(pit=norm.cdf(-loss / sigma), level=1.0 - p), sigma)
    return runs


RUNS = [("sd", 0.01), ("sd", 0.025), ("ew", 0.025), ("ew", 0.05)]


@pytest.mark.parametrize(
    ("run", "z1", "z2", "relative", "absolute"),
    [
        (RUNS[0], "-0.19947173", "-1.9610390", "-0.67914607", "-1.7064503"),
        (RUNS[1], "-0.21290399", "-0.79651888", "-0.39311492", "-0.86652272"),
        (RUNS[2], "-0.16176668", "-0.74021955", "-0.32278415", "-0.53341619"),
        (RUNS[3], "-0.16140559", "-0.32662647", "-0.21318561", "-0.31583007"),
    ],
)
def test_acerbi_szekely_on_the_index(index_runs, run, z1, z2, relative, absolute):
    tail, _, _ = index_runs[run]
    found = {
        "z1": acerbi_szekely(tail, kind="z1", **FEW),
        "z2": acerbi_szekely(tail, kind="z2", **FEW),
        "relative": minimally_biased(tail, **FEW),
        "absolute": minimally_biased(tail, kind="absolute", **FEW),
    }
    for printed, result in zip((z1, z2, relative, absolute), found.values(), strict=True):
        assert f"{result.statistic:.{len(printed.partition('.')[2])}f}" == printed
        assert result.decision == "rejected"
    one, two = found["z1"].statistic, found["z2"].statistic
    assert two == pytest.approx(1.0 - (1.0 - one) * tail.hits.x / (tail.n * tail.p), rel=1e-12)


@pytest.mark.parametrize(
    ("run", "mean", "portmanteau"),
    [
        (RUNS[0], "0.01669311", "195.63212"),
        (RUNS[1], "0.025056111", "198.45610"),
        (RUNS[2], "0.023677481", "50.421798"),
        (RUNS[3], "0.035405197", "45.354140"),
    ],
)
def test_du_escanciano_on_the_index(index_runs, run, mean, portmanteau):
    _, pit, _ = index_runs[run]
    result = du_escanciano(pit)
    assert f"{result.statistic:.{len(mean) - 2}f}" == mean and result.decision == "rejected"
    memory = du_escanciano_conditional(pit, lags=5, **FEW)
    assert f"{memory.statistic:.{len(portmanteau.partition('.')[2])}f}" == portmanteau
    assert memory.p_asymptotic == pytest.approx(chi2.sf(memory.statistic, 5), rel=1e-12)


@pytest.mark.parametrize(
    ("run", "simple", "general", "raw", "by_deviation"),
    [
        (RUNS[0], "46.158630", "22.577573", "5.147538", "5.261461"),
        (RUNS[1], "34.307445", "33.505944", "6.321545", "6.410624"),
        (RUNS[2], "28.358217", "24.117090", "4.812885", "5.264665"),
        (RUNS[3], "24.247801", "33.202006", "5.657407", "6.136827"),
    ],
)
def test_residual_tests_on_the_index(index_runs, run, simple, general, raw, by_deviation):
    tail, _, sigma = index_runs[run]
    assert f"{nolde_ziegel(tail, **FEW).statistic:.6f}" == simple
    assert f"{nolde_ziegel(tail, kind='general', scale=sigma, **FEW).statistic:.6f}" == general
    assert f"{mcneil_frey(tail, scale=np.ones(tail.n), **FEW).statistic:.6f}" == raw
    # One printed figure is 6.136827 where fifty digits on these data give 6.1368265.
    assert mcneil_frey(tail, scale=sigma, **FEW).statistic == pytest.approx(float(by_deviation), abs=6e-7)


@pytest.mark.parametrize(
    ("null", "df", "five", "one"),
    [
        ("normal", None, -0.703, -1.042),
        ("t", 100, -0.701, -1.036),
        ("t", 10, -0.712, -1.051),
        ("t", 5, -0.740, -1.109),
        ("t", 3, -0.815, -1.317),
    ],
)
def test_critical_values_of_z2_at_one_year(null, df, five, one):
    # 200,000 draws stand behind the figures, 10,000 behind these: 3 standard errors of the quantiles apart.
    for alpha, printed, error in ((0.05, five, 0.02), (0.01, one, 0.06)):
        result = acerbi_szekely(
            statistic=-0.7, n=250, x=6, level=0.975, null=null, df=df, alpha=alpha, draws=9_999
        )
        assert result.critical_value == pytest.approx(printed, abs=error)


@pytest.mark.parametrize(
    ("null", "df", "five"), [("normal", None, -0.114), ("t", 5, -0.255), ("t", 3, -0.427)]
)
def test_critical_values_of_z1_at_one_year(null, df, five):
    result = acerbi_szekely(kind="z1", statistic=-0.1, n=250, x=6, level=0.975, null=null, df=df, draws=9_999)
    assert result.critical_value == pytest.approx(five, abs=0.01 if df is None else 0.03)


@pytest.mark.parametrize(
    ("null", "df", "critical", "p_value"),
    [("normal", None, -0.34639, 0.0054099), ("t", 3, -0.42986, 0.018566)],
)
def test_published_unconditional_test_of_1966_days(null, df, critical, p_value):
    result = acerbi_szekely(
        statistic=-0.38265, n=1966, x=55, level=0.975, null=null, df=df, alpha=0.01, draws=9_999
    )
    assert result.critical_value == pytest.approx(critical, abs=0.02 if df is None else 0.04)
    assert result.p_exact == pytest.approx(p_value, abs=4.0 * result.p_exact_se)


@pytest.mark.parametrize(
    ("level", "kind", "statistic", "critical"),
    [
        (0.95, "z2", -0.13342, -0.168),
        (0.975, "z2", -0.25011, -0.245),
        (0.99, "z2", -0.57396, -0.383),
        (0.95, "z1", -0.092302, -0.0434),
        (0.975, "z1", -0.11714, -0.0548),
        # as printed, from 1,000 scenarios
        (0.95, "z2", -0.13342, -0.16252),
        (0.975, "z2", -0.25011, -0.2268),
        (0.99, "z2", -0.57396, -0.38264),
        (0.95, "z1", -0.092302, -0.043941),
        (0.975, "z1", -0.11714, -0.052575),
    ],
)
def test_published_tests_by_simulation_of_t10(level, kind, statistic, critical):
    result = acerbi_szekely(
        kind=kind, statistic=statistic, n=1966, x=50, level=level, null="t", df=10, draws=4_999
    )
    # A fifth-percentile of 1,000 scenarios is known to about 0.01 at 97.5 %, 0.02 at 99 %.
    wide = {0.95: 0.012, 0.975: 0.025, 0.99: 0.03}[level] if kind == "z2" else 0.012
    assert result.critical_value == pytest.approx(critical, abs=wide)
    if abs(statistic - critical) > 0.03:
        assert (result.decision == "rejected") == (statistic < critical)


@pytest.mark.parametrize(("critical", "error"), [(-0.056072, 0.006), (-0.0576, 0.003)])
def test_published_minimally_biased_test_by_simulation_of_t10(critical, error):
    ones = np.ones(1966)
    law = TailLaw(null="t", df=10.0)
    days = TailSeries(loss=0.0 * ones, var=law.var(0.05) * ones, es=law.es(0.05) * ones, level=0.95)
    result = minimally_biased(days, null="t", df=10, draws=9_999)
    assert result.critical_value == pytest.approx(critical, abs=error)


def test_published_ratios_of_failures_to_expected():
    for x, p, expected, ratio in ((57, 0.05, 52.15, "1.0930"), (17, 0.01, 10.43, "1.6299")):
        outcome = kupiec(n=1043, x=x, p=p)
        assert outcome.expected == pytest.approx(expected, abs=1e-9)
        assert f"{outcome.x / outcome.expected:.4f}" == ratio


def test_z3_under_normal_losses():
    five, one = (
        acerbi_szekely(kind="z3", statistic=-0.1, n=250, x=6, level=0.975, alpha=alpha, draws=9_999)
        for alpha in (0.05, 0.01)
    )
    assert five.details["ranks"] == 6
    assert f"{five.details['expected_tail']:.5f}" == "2.31958"
    assert five.critical_value == pytest.approx(-0.149, abs=0.006)
    assert one.critical_value == pytest.approx(-0.219, abs=0.012)


@pytest.mark.parametrize(
    ("level", "x", "mean", "sd", "p_value", "low", "high"),
    [
        (0.95, 102, 0.028821, "0.0028565", "0.181", "0.019401", "0.030599"),
        (0.975, 55, 0.015998, "0.0020394", "0.0863", None, None),  # 0.086278 from all digits of the mean
        (0.99, 27, 0.0080997, "0.0012972", "0.016871", None, None),
    ],
)
def test_published_du_escanciano_of_1966_days(level, x, mean, sd, p_value, low, high):
    result = du_escanciano(n=1966, x=x, mean=mean, level=level)
    assert f"{result.details['sd_mean']:.7f}" == sd
    assert f"{result.p_asymptotic:.{len(p_value) - 2}f}" == p_value
    if low is not None:
        half = norm.ppf(0.975) * result.details["sd_mean"]
        assert (f"{0.025 - half:.6f}", f"{0.025 + half:.6f}") == (low, high)


def test_published_du_escanciano_of_one_year():
    assert f"{du_escanciano(n=250, x=14, mean=0.0277, level=0.95).p_asymptotic:.2f}" == "0.74"  # 0.7377
    assert f"{chi2.sf(2.7680, 4):.4f}" == "0.5974"


def test_zones_of_costanzino_and_curran():
    details = costanzino_curran(n=250, x=6, mean=0.0125, level=0.975).details
    assert f"{250 * details['expected_mean']:.3f} {250 * details['sd_mean']:.5f}" == "3.125 1.42978"
    limits = [f"{details[key]:.4f}" for key in ("normal_yellow_from", "normal_red_from")]
    assert limits == ["5.4768", "8.4424"]
    assert details["zone"] == "green" and details["red_from"] > 9.0


def test_toy_cases_by_hand():
    found = [acerbi_szekely(TOY, kind=kind, **FEW).statistic for kind in ("z1", "z2")]
    found += [minimally_biased(TOY, **FEW).statistic, minimally_biased(TOY, kind="absolute", **FEW).statistic]
    assert [f"{value:.8f}" for value in found] == ["-0.05333333", "-2.16000000", "-0.56000000", "-1.40000000"]


def test_e_process_by_hand():
    constant = e_process(BETS, betting="constant", bet=0.1)
    assert constant.e_values.tolist() == [0.0, 10.0, 0.0, 5.0, 20.0, 0.0]
    assert [f"{value:.7g}" for value in constant.wealth] == [
        "0.9",
        "1.71",
        "1.539",
        "2.1546",
        "6.24834",
        "5.623506",
    ]
    gree = e_process(BETS, betting="gree")
    assert [f"{value:.8f}" for value in gree.bets[1:]] == [
        "0.00000000",
        "0.09756098",
        "0.08433735",
        "0.11111111",
        "0.06521739",
    ]
    assert [f"{value:.8f}" for value in gree.wealth[2:]] == [
        "0.90243902",
        "1.20687629",
        "3.75472622",
        "3.50985277",
    ]
    # Forecasts do not change here, so that betting on past losses at today's forecasts is the same bet.
    for betting in ("grel", "grem"):
        assert np.allclose(e_process(BETS, betting=betting).wealth, gree.wealth, rtol=1e-12)
    assert e_backtest(BETS, betting="gree").details["first_at_2"] == 5


def test_factor_by_which_a_wrong_var_raises_the_mean_of_the_bet():
    # With ES right, the mean of the e-value is E(L - z)⁺/(p(r - z)): 1.40 at z = 1.5, 1.09 at z = 2.1.
    r = TailLaw(null="normal", df=None).es(0.025)
    assert f"{r:.4f}" == "2.3378"
    grid = norm.isf((np.arange(200_000) + 0.5) / 200_000)
    for z, printed in ((1.5, "1.40"), (2.1, "1.09"), (norm.ppf(0.975), "1.00")):
        series = TailSeries(loss=grid, var=np.full(grid.size, z), es=np.full(grid.size, r), level=0.975)
        assert f"{np.mean(e_process(series, betting='constant').e_values):.2f}" == printed


def test_reference_values_of_es():
    normal = TailLaw(null="normal", df=None)
    assert [f"{normal.es(p):.8f}" for p in (0.025, 0.01)] == ["2.33780279", "2.66521422"]
    found = [f"{TailLaw(null='t', df=df).es(0.01):.8f}" for df in (3.0, 5.0, 10.0)]
    assert found == ["7.00308204", "4.45242911", "3.36325148"]
    ratios = [TailLaw(null="t", df=10.0).es(p) / student.isf(p, 10.0) for p in (0.05, 0.025, 0.01)]
    assert [f"{value:.4f}" for value in ratios] == ["1.3288", "1.2652", "1.2169"]
    assert f"{normal.es(0.025) / normal.var(0.025):.4f}" == "1.1928"
    assert math.isclose(normal.var(0.025), norm.isf(0.025))


@pytest.mark.parametrize(
    ("run", "fz0", "tick"),
    [
        (RUNS[0], "1.660838412", "0.04633392844"),
        (RUNS[1], "1.243734332", "0.08588207357"),
        (RUNS[2], "1.082860697", "0.07424379973"),
        (RUNS[3], "0.8480726673", "0.1233402367"),
    ],
)
def test_scores_on_the_index(index_runs, run, fz0, tick):
    tail, _, _ = index_runs[run]
    assert f"{fz0_score(tail).mean():.10g}" == fz0
    assert f"{tick_score(tail).mean():.10g}" == tick


def test_comparison_on_the_index(index_runs):
    model, reference = index_runs["sd", 0.025][0], index_runs["ew", 0.025][0]
    plain = compare_forecasts(model, reference, lags=0)
    assert f"{plain.details['mean_difference']:.8f} {plain.statistic:.6f}" == "0.16087364 3.280444"
    assert f"{compare_forecasts(model, reference, lags=9).statistic:.6f}" == "2.656614"
    assert compare_forecasts(model, reference).details["lags"] == 9
    assert (plain.details["zone"], compare_forecasts(reference, model).details["zone"]) == ("red", "green")


def test_scores_by_hand():
    assert f"{fz0_score(TOY).mean():.8f} {tick_score(TOY).mean():.3f}" == "1.47629073 0.328"
