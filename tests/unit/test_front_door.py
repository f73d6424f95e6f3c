"""The names of `import pmkit` and what they stand for."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import pmkit as pm


def test_version_is_that_of_the_project(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert pm.__version__ == project["version"]


def test_citation_names_the_version(root: Path) -> None:
    found = re.search(r"^version:\s*\"?([^\"\s]+)", (root / "CITATION.cff").read_text(), flags=re.MULTILINE)
    assert found is not None
    assert found[1] == pm.__version__


def test_names_are_the_objects_of_their_rooms() -> None:
    from pmkit.margin.accounts.account import Account
    from pmkit.market import datasets

    assert pm.Account is Account
    assert pm.datasets is datasets


def test_dir_stays_the_same_after_other_modules_are_loaded() -> None:
    import pmkit.core.random

    assert pmkit.core.random.stream
    assert dir(pm) == sorted(pm.__all__)
    assert "core" not in dir(pm)


def test_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'portfolio'; it offers .*Portfolio"):
        _ = pm.portfolio


def test_one_room_does_not_load_the_others() -> None:
    code = "import sys, pmkit; pmkit.pricing; print('pmkit.margin' in sys.modules, 'arch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["False", "False"]


def test_fitted_volatility_is_a_factor_model() -> None:
    returns = pm.market.load_history("crypto-daily-2020-2023").returns(["BTC"])["BTC"]
    fitted = pm.estimation.fit_volatility(returns.iloc[-300:], model="garch", dist="normal")
    assert isinstance(fitted, pm.FactorModel)
