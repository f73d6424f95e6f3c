"""The loss of an account as a function of points of the ball, by full revaluation in batches."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pmkit.core.errors import DataGapError
from pmkit.core.progress import ProgressBar
from pmkit.core.types import FloatArray
from pmkit.instruments import Instrument, Portfolio
from pmkit.market.snapshot import MarketSnapshot
from pmkit.risk.adversarial.ellipsoid import Ellipsoid
from pmkit.risk.collateral import CollateralAccount
from pmkit.risk.inputs import check_held
from pmkit.risk.revalue import revalue

__all__ = ["AccountLoss"]

#: points revalued at once: bounds the memory of a batch
_BATCH = 16_384


class AccountLoss:
    """Loss of an account at points of a ball, and how many were revalued.

    Parameters
    ----------
    held : Portfolio or Account
    snapshot : MarketSnapshot
    ball : Ellipsoid
    balances : mapping of str to float, optional
        Collateral, with a portfolio alone.
    numeraire : str
    bar : ProgressBar, optional
        Counts the points.
    """

    def __init__(
        self,
        held: Portfolio | CollateralAccount,
        snapshot: MarketSnapshot,
        ball: Ellipsoid,
        balances: Mapping[str, float] | None,
        numeraire: str,
        bar: ProgressBar | None = None,
    ) -> None:
        check_held(held)
        portfolio = held if isinstance(held, Portfolio) else held.portfolio
        if not len(portfolio):
            raise DataGapError("the account holds no positions", "at least one", "add a position")
        self.instruments: tuple[Instrument, ...] = portfolio.instruments
        self.held, self.balances = held, balances
        self.snapshot, self.ball, self.numeraire = snapshot, ball, numeraire
        self.evaluations, self.bar = 0, bar

    def __call__(self, points: FloatArray) -> FloatArray:
        """Return losses, shape (n,), at points, shape (n, rank)."""
        losses = np.empty(points.shape[0])
        for first in range(0, points.shape[0], _BATCH):
            part = points[first : first + _BATCH]
            cube = revalue(self.instruments, self.snapshot, self.ball.scenarios(part))
            losses[first : first + _BATCH] = -cube.account_pnl(
                self.held, balances=self.balances, numeraire=self.numeraire
            )
            if self.bar is not None:
                self.bar.advance(part.shape[0])
        self.evaluations += points.shape[0]
        return losses
