"""The pairwise calendar test of eSSVI in the literature, as a diagnostic: alone it is not sufficient."""

from __future__ import annotations

from dataclasses import dataclass

from pmkit.surface.arguments import require
from pmkit.surface.joint.essvi import EssviParameters

__all__ = ["HendriksMartini", "hendriks_martini"]


@dataclass(frozen=True, kw_only=True)
class HendriksMartini:
    """What the pairwise conditions say of a near and a far slice.

    Attributes
    ----------
    theta_rises : bool
        Total variance at the money does not fall.
    wings_rise : bool
        ``|rho2 psi2 - rho1 psi1| <= psi2 - psi1``: neither wing is flatter than before.
    phi_falls : bool
        ``psi2/theta2 <= psi1/theta1``.
    """

    theta_rises: bool
    wings_rise: bool
    phi_falls: bool

    @property
    def passes(self) -> bool:
        """True where the conditions that are often quoted hold: necessary, and not sufficient."""
        return self.theta_rises and self.wings_rise

    @property
    def sufficient(self) -> bool:
        """True where phi does not rise either: then total variance falls nowhere."""
        return self.passes and self.phi_falls


def hendriks_martini(near: EssviParameters, far: EssviParameters) -> HendriksMartini:
    """Return what the pairwise conditions say of two SSVI slices; :func:`calendar` says what is true.

    Slices that pass while phi rises can cross near the money, where the wing condition does not look. To
    find calendar arbitrage compare the curves.

    Parameters
    ----------
    near, far : EssviParameters
        The earlier and the later slice.

    Raises
    ------
    ParameterError
        An argument is not an eSSVI slice.

    References
    ----------
    Hendriks and Martini (2019), Proposition 3.1; Pasquazzi (2023), who corrects it.

    Examples
    --------
    >>> near = EssviParameters(theta=0.04, rho=-0.2, psi=0.1)
    >>> test = hendriks_martini(near, EssviParameters(theta=0.04, rho=-0.5, psi=0.3))
    >>> test.passes, test.sufficient
    (True, False)
    """
    for one in (near, far):
        require("a slice", one, EssviParameters, "pass EssviParameters(theta=..., rho=..., psi=...)")
    gap = abs(far.rho * far.psi - near.rho * near.psi)
    return HendriksMartini(
        theta_rises=far.theta >= near.theta,
        wings_rise=gap <= far.psi - near.psi,
        phi_falls=far.phi <= near.phi,
    )
