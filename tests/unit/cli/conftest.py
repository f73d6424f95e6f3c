"""A way to call the command line, and small files to call it with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from pmkit.cli.main import app

AS_OF = "2026-08-01T17:58:04Z"
HEADER = "type,instrument,qty,entry_price,as_of"
LINES = (
    "position,BTC-25SEP26-62000-C,-10,,",
    "position,BTC-25SEP26-62000-P,-10,,",
    "position,BTC-PERPETUAL,2700,62655,",
    "collateral,BTC,4.5,,",
    "collateral,USDC,40000,,",
)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Call ``pmkit`` with words and return exit code, standard output and standard error."""
    for name in ("COLUMNS", "FORCE_COLOR", "TERMINAL_WIDTH"):
        monkeypatch.delenv(name, raising=False)

    def call(*words: str | Path) -> Result:
        return CliRunner().invoke(app, [str(word) for word in words])

    return call


@pytest.fixture
def write_account(tmp_path: Path) -> Callable[..., Path]:
    """Write an account file from lines without their instant, and return its path."""

    def write(*lines: str, name: str = "my.csv", header: str = HEADER, as_of: str = AS_OF) -> Path:
        path = tmp_path / name
        path.write_text("\n".join([header, *(f"{line}{as_of}" for line in lines or LINES)]) + "\n")
        return path

    return write
