"""One thread for the linear algebra of a fit, so that its digits do not depend on the number of cores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["one_blas_thread"]


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold the linear algebra libraries of numpy and scipy at one thread inside the block.

    Their sums are split over threads and rounded otherwise with two threads than with one. An optimiser that
    stops at a tolerance turns that last bit into the sixth digit of an estimate: equal inputs would give
    other figures on a machine with one core. The problems are small, so that nothing is lost in time.

    Examples
    --------
    >>> with one_blas_thread():
    ...     pass
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):
        yield
