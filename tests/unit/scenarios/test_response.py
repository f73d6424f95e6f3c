"""Response parameters: ballpark, units, the file's schema."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

import pmkit.scenarios
from pmkit.core.errors import DataGapError, ParameterError
from pmkit.scenarios import factor_response

SHIPPED = Path(pmkit.scenarios.__file__).parent / "params" / "deribit-btc-eth-2026-04.toml"


def test_shipped_set_says_what_it_is() -> None:
    law = factor_response()
    btc = law.of("BTC")
    assert btc.vol_slope == pytest.approx(-1.08, abs=0.005) and btc.vol_slope_se == pytest.approx(
        0.12, abs=0.005
    )
    assert btc.vol_r2 == pytest.approx(0.41, abs=0.005) and btc.vol_residual_sd == pytest.approx(
        0.032, abs=5e-4
    )
    assert "not shipped" in law.source and str(law.last_observed) == "2026-04-30"
    assert law.vol_term.scale(30.0) == 1.0 and law.vol_term.scale(7.0) > 1.5 > 1.0 > law.vol_term.scale(90.0)
    assert law.vol_term.scale(0.5) == law.vol_term.scale(7.0)
    assert law.basis_scale(30.0) == 1.0 and law.basis_scale(300.0) == pytest.approx(10**0.423)
    assert set(law.assumed) >= {"linearity", "independence"}
    assert law.to_frame().query("underlying == 'ETH' and parameter == 'vol_slope'")["value"].item() == -0.457


def test_note_tells_age_and_look_ahead() -> None:
    law = factor_response()
    assert "not shipped; 93 days old)" in law.note(pd.Timestamp("2026-08-01T17:58:04Z"))
    assert "estimated after the snapshot" in law.note(pd.Timestamp("2024-01-01T00:00Z"))


def test_own_file_and_fingerprint(tmp_path: Path) -> None:
    same = tmp_path / "same.toml"
    same.write_text(SHIPPED.read_text())
    other = tmp_path / "other.toml"
    other.write_text(SHIPPED.read_text().replace("vol_slope = -1.080", "vol_slope = -0.920"))
    assert factor_response(same).fingerprint == factor_response().fingerprint
    assert factor_response(other).fingerprint != factor_response().fingerprint
    assert factor_response(str(other)).of("BTC").vol_slope == -0.92


@pytest.mark.parametrize(
    ("pattern", "replacement", "text"),
    [
        (r"vol_residual_sd = 0.03196", "vol_residual_sd = 3.196", "vol_residual_sd of BTC .* from 0 to 1"),
        (r"vol_r2 = 0.4094\n", "", "underlying.BTC lacks vol_r2"),
        (r"floor_days = 7.0", "floor_days = 7.0\nextra = 1", "vol lacks nothing and has unknown extra"),
        (r"residual_df = 6.1", "residual_df = 2.0", "vol_residual_df"),
        (r"residual_df = 6.1", "residual_df = 'six'", "vol_residual_df .* is 'six'"),
        (r"valid_from = 2026-05-01", "valid_from = '2026-05-01'", "write it without quotes"),
        (r"valid_from = 2026-05-01", "valid_from = 2026-04-01", "dates in this order"),
        (r"\[vol\]", "[vol", "a TOML file"),
    ],
)
def test_broken_files(tmp_path: Path, pattern: str, replacement: str, text: str) -> None:
    broken = tmp_path / "broken.toml"
    content, count = re.subn(pattern, replacement, SHIPPED.read_text(), count=1)
    assert count == 1
    broken.write_text(content)
    with pytest.raises(ParameterError, match=text):
        factor_response(broken)


def test_unknown_names() -> None:
    with pytest.raises(DataGapError, match="no response set 'x'; expected one of deribit-btc-eth-2026-04"):
        factor_response("x")
    with pytest.raises(DataGapError, match=r"no file absent.toml"):
        factor_response("absent.toml")
    with pytest.raises(DataGapError, match="no parameters for SOL; expected one of BTC, ETH"):
        factor_response().of("SOL")
