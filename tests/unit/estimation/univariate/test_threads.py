"""Estimates do not depend on how many cores the machine has: bits of fits with one and with two threads."""

from __future__ import annotations

import os
import subprocess
import sys

SCRIPT = """
import warnings
import pmkit as pm
from pmkit.core.random import stream
import pandas as pd
warnings.simplefilter("ignore")
days = pd.date_range("2020-01-01", periods=900, tz="UTC")
returns = pd.Series(0.02 * stream(3, "threads").standard_t(5, 900), index=days)
for model, dist in (("gjr", "t"), ("egarch", "t")):
    fit = pm.estimation.fit_volatility(returns, model, dist)
    print(model, *(float(value).hex() for value in fit.params), float(fit.sigma.iloc[-1]).hex())
"""


def printed(threads: int) -> str:
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    environment = os.environ | {name: str(threads) for name in names}
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True
    )
    return run.stdout


def test_fits_are_equal_bit_for_bit_on_one_and_two_threads() -> None:
    one, two = printed(1), printed(2)
    assert one.count("\n") == 2
    assert one == two
