"""Numbers in the modules of rules: they come from dated sets, or are named here with their reason."""

from __future__ import annotations

import ast
from pathlib import Path

#: numbers that say nothing about a rule: none, whole, half, the other way
PLAIN = {0, 1, 2, -1}
#: number by module and why it is no parameter
REASONS: dict[tuple[str, float], str] = {
    ("derive_pmrm_v2.py", 700.0): "limit of the argument of exp, beyond which a float overflows",
    ("okx/cells.py", 365.0): "days of a year",
    ("okx/cells.py", 100.0): "vol points of a vol of 1",
    ("okx/unit.py", 1e-12): "rounding, below which two measures are a tie in an explanation",
    ("paradex_pm.py", 8.0): "hours that a funding rate of a snapshot is for",
    ("reg_t/candidates.py", 100_000): "size beyond which the assignment is refused",
    ("reg_t/candidates.py", 4): "legs of a box, a condor and a butterfly",
    ("reg_t/candidates.py", 0.5): "half of a strike gap, where a butterfly has its middle",
    ("reg_t/pairing.py", 1e-6): "rounding of whole contracts",
    ("simm/aggregate.py", 13): "number of the residual bucket",
    ("simm/aggregate.py", 365.0): "days of a year",
    ("simm/aggregate.py", 1e6): "thresholds are in millions",
    ("simm/aggregate.py", 0.5): "half of a vega in the formula of curvature",
    ("simm/rule.py", 0.01): "one per cent, one vol point: the unit of a sensitivity",
    ("simm/rule.py", 1.01): "one per cent up",
    ("simm/rule.py", 365.0): "days of a year",
    ("span/scenarios.py", 3): "thirds of the price scan range, which define the sixteen scenarios",
    ("span/scenarios.py", 14): "scenarios before the two extreme ones",
    ("span/scenarios.py", 15): "the second extreme one",
    ("span/scenarios.py", 16): "scenarios",
    ("span/scenarios.py", 17): "one beyond the last scenario",
    ("span/arrays.py", 16): "scenarios",
    ("span/arrays.py", 17): "one beyond the last scenario",
    ("span/commodity.py", 16): "scenarios",
    ("span/commodity.py", 0.5): "mean of a pair of scenarios",
    ("span/rule.py", 16): "scenarios",
    ("span/pricing.py", 0.5): "half of a variance in a formula of prices",
    ("span/pricing.py", 3.0): "thirds",
}


def clause_numbers(tree: ast.Module) -> set[int]:
    """Return the ids of numbers that name a clause: first of ``step(…)``, or of a pair with names."""
    found: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "step":
            found |= {id(node.args[0])} if node.args else set()
        if isinstance(node, ast.Tuple) and len(node.elts) == 2 and isinstance(node.elts[1], ast.Tuple):
            found.add(id(node.elts[0]))
    return found


def numbers(path: Path) -> set[float]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    clauses = clause_numbers(tree)
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, (int, float))
        and not isinstance(node.value, bool)
        and node.value not in PLAIN
        and id(node) not in clauses
    }


def test_every_number_of_a_rule_module_has_a_reason(root: Path) -> None:
    folder = root / "pmkit" / "margin" / "rules"
    found = {
        (path.relative_to(folder).as_posix(), number)
        for path in folder.rglob("*.py")
        for number in numbers(path)
    }
    assert found - set(REASONS) == set(), "a number without a reason: move it to the parameter set"
    assert set(REASONS) - found == set(), "a reason without its number"
