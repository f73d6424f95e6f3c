"""The worst scenarios of many accounts: sums of cube rows, of which only the tail is kept.

An account's P&L vector lives in the cache of one core while its few rows are added up, and is forgotten once
its worst scenarios have been picked out, exactly and without sorting it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pmkit.core.types import IntArray
from pmkit.pricing.numeric import kernel, stage

__all__ = ["account_tails", "merge_tails"]

_TILE = 1024  # scenarios a sweep: four rows and the sum stay in the first-level cache
_RUN = 32  # scenarios that are looked at together for one in the tail
_FEW = 64  # candidates that insertion puts in order faster than a heap

Reals = npt.NDArray[Any]  # float64 or float32


@stage
def _add_rows(
    matrix: Reals, rows: IntArray, quantity: Reals, begin: int, end: int, base: Reals, total: Reals
) -> None:
    """Fill ``total`` with ``base`` (0 if empty) plus ``quantity[j]*matrix[rows[j]]``, j ascending."""
    for start in range(0, total.size, _TILE):
        target = total[start : start + _TILE]
        if base.size > 0:
            first = base[start : start + _TILE]
            for i in range(target.size):
                target[i] = first[i]
        else:
            target[:] = 0
        j = begin
        while j + 4 <= end:
            q0, q1, q2, q3 = quantity[j], quantity[j + 1], quantity[j + 2], quantity[j + 3]
            r0, r1 = matrix[rows[j]][start : start + _TILE], matrix[rows[j + 1]][start : start + _TILE]
            r2, r3 = matrix[rows[j + 2]][start : start + _TILE], matrix[rows[j + 3]][start : start + _TILE]
            for i in range(target.size):
                target[i] = (((target[i] + q0 * r0[i]) + q1 * r1[i]) + q2 * r2[i]) + q3 * r3[i]
            j += 4
        while j < end:
            q, row = quantity[j], matrix[rows[j]][start : start + _TILE]
            for i in range(target.size):
                target[i] += q * row[i]
            j += 1


@stage
def _smallest(values: Reals, k: int) -> Any:
    """Return the k-th smallest, k from 0, by partial exchange; the order of ``values`` is lost."""
    low, high = 0, values.size - 1
    while low < high:
        pivot = values[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while pivot < values[j]:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if k <= j:
            high = j
        elif k >= i:
            low = i
        else:
            return values[k]
    return values[k]


@stage
def _class_minima(total: Reals, minima: Reals) -> None:
    """Fill ``minima`` with the least of every class of scenarios, i modulo the number of classes."""
    classes = minima.size
    for i in range(classes):
        minima[i] = total[i]
    for start in range(classes, total.size, classes):
        part = total[start : start + classes]
        for i in range(part.size):
            minima[i] = part[i] if part[i] < minima[i] else minima[i]


@stage
def _worse(total: Reals, one: int, two: int) -> bool:
    """Return whether a scenario comes before another: less profit, or as much and a smaller number."""
    return bool((total[one] < total[two]) | ((total[one] == total[two]) & (one < two)))


@stage
def _insert(total: Reals, found: IntArray, count: int) -> None:
    """Put few scenarios in order, worst first."""
    for i in range(1, count):
        scenario = found[i]
        j = i - 1
        while j >= 0 and _worse(total, scenario, found[j]):
            found[j + 1] = found[j]
            j -= 1
        found[j + 1] = scenario


@stage
def _sink(total: Reals, heap: IntArray, at: int, count: int) -> None:
    """Let a scenario of a heap, the best on top, fall to its level."""
    scenario = heap[at]
    while 2 * at + 1 < count:
        below = 2 * at + 1
        if below + 1 < count and _worse(total, heap[below], heap[below + 1]):
            below += 1
        if not _worse(total, scenario, heap[below]):
            break
        heap[at] = heap[below]
        at = below
    heap[at] = scenario


@stage
def _sort(total: Reals, found: IntArray, count: int) -> None:
    """Put many scenarios in order, worst first, as fast for equal profits as for others."""
    for at in range(count // 2 - 1, -1, -1):
        _sink(total, found, at, count)
    for last in range(count - 1, 0, -1):
        found[0], found[last] = found[last], found[0]
        _sink(total, found, 0, last)


@stage
def _at_or_below(total: Reals, bound: Any, found: IntArray) -> int:
    """Fill ``found`` with the scenarios at or below the bound, in ascending order, and return how many."""
    count = 0
    for start in range(0, total.size, _RUN):
        part = total[start : start + _RUN]
        hits = 0
        for i in range(part.size):
            hits += part[i] <= bound
        if hits > 0:
            for i in range(part.size):
                if part[i] <= bound:
                    found[count] = start + i
                    count += 1
    return count


@stage
def _in_few_classes(total: Reals, minima: Reals, bound: Any, found: IntArray) -> int:
    """Fill the same, class by class, where few classes have a scenario at or below the bound."""
    count = 0
    for c in range(minima.size):
        if minima[c] <= bound:
            for i in range(c, total.size, minima.size):
                found[count] = i
                count += total[i] <= bound
    return count


@stage
def _narrowed(total: Reals, keep: int, order: Reals, found: IntArray, count: int) -> int:
    """Leave in ``found`` the scenarios at or below the ``keep``-th worst of them, and return how many."""
    for i in range(count):
        order[i] = total[found[i]]
    bound = _smallest(order[:count], keep - 1)
    left = 0
    for i in range(count):
        if total[found[i]] <= bound:
            found[left] = found[i]
            left += 1
    return left


@stage
def _candidates(total: Reals, keep: int, hint: IntArray, minima: Reals, order: Reals, found: IntArray) -> int:
    """Fill ``found`` with all scenarios that may belong to the ``keep`` worst, and return how many.

    Any ``keep`` scenarios bound the ``keep``-th worst by the best of them. ``hint`` holds the worst of the
    account before, which serve where accounts are alike; else it is the worst of as many classes.
    """
    if minima.size == 0:
        return _at_or_below(total, np.inf, found)
    if keep > _FEW // 2 and hint[0] >= 0:
        best = total[hint[0]]
        for i in range(1, keep):
            best = max(best, total[hint[i]])
        count = _at_or_below(total, best, found)
        if count <= 2 * keep:
            return count
        if count <= order.size:
            return _narrowed(total, keep, order, found, count)
    _class_minima(total, minima)
    order[:] = minima
    bound = _smallest(order, keep - 1)
    if keep <= _FEW // 2:
        return _in_few_classes(total, minima, bound, found)
    return _at_or_below(total, bound, found)


@kernel
def account_tails(
    matrix: Reals,
    starts: IntArray,
    rows: IntArray,
    quantity: Reals,
    base: Reals,
    first_scenario: int,
    profit: Reals,
    scenario: IntArray,
) -> None:
    """Fill ``profit`` and ``scenario`` (accounts, kept) with the worst of each account, worst first.

    Account a holds ``quantity[j]`` of ``matrix[rows[j]]`` (instruments, scenarios), j from ``starts[a]`` to
    ``starts[a + 1]`` exclusive, on top of ``base`` (one profit a scenario, or empty). Nothing may be NaN.
    """
    size, keep = matrix.shape[1], profit.shape[1]
    classes = 64
    while classes < 4 * keep:
        classes *= 2
    if 2 * classes > size:
        classes = 0
    total = np.empty(size, dtype=matrix.dtype)
    minima, order = np.empty(classes, dtype=matrix.dtype), np.empty(classes, dtype=matrix.dtype)
    found = np.empty(size + 1, dtype=np.int64)
    chosen = np.full(keep, -1, dtype=np.int64)
    for a in range(profit.shape[0]):
        _add_rows(matrix, rows, quantity, starts[a], starts[a + 1], base, total)
        count = _candidates(total, keep, chosen, minima, order, found)
        if count <= _FEW:
            _insert(total, found, count)
        else:
            _sort(total, found, count)
        chosen[:] = found[:keep]
        for i in range(keep):
            profit[a, i] = total[chosen[i]]
            scenario[a, i] = first_scenario + chosen[i]


@kernel
def merge_tails(
    profit: Reals, scenario: IntArray, more: Reals, other: IntArray, out: Reals, number: IntArray
) -> None:
    """Fill ``out`` and ``number`` (accounts, kept) with the worst of two tails that are in order.

    The scenarios of the second come after those of the first, so ties go to the first.
    """
    for a in range(out.shape[0]):
        i, j = 0, 0
        for k in range(out.shape[1]):
            if j == more.shape[1] or (i < profit.shape[1] and profit[a, i] <= more[a, j]):
                out[a, k], number[a, k] = profit[a, i], scenario[a, i]
                i += 1
            else:
                out[a, k], number[a, k] = more[a, j], other[a, j]
                j += 1
