"""Monte Carlo scenarios: laws of the factors, the numbers that drive them, and how fast figures settle."""

from pmkit.scenarios.montecarlo.convergence import Convergence, convergence
from pmkit.scenarios.montecarlo.garch_paths import GarchPaths
from pmkit.scenarios.montecarlo.jump_laws import KouJumps, MertonJumps
from pmkit.scenarios.montecarlo.jumps import JumpDiffusion
from pmkit.scenarios.montecarlo.monte_carlo import monte_carlo
from pmkit.scenarios.montecarlo.student import StudentLaw

__all__ = [
    "Convergence",
    "GarchPaths",
    "JumpDiffusion",
    "KouJumps",
    "MertonJumps",
    "StudentLaw",
    "convergence",
    "monte_carlo",
]
