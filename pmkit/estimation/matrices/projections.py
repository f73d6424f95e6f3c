"""Three ways from a symmetric matrix of unit diagonal to a correlation matrix, on plain arrays."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from pmkit.core.types import BoolArray, FloatArray
from pmkit.estimation.matrices.correlation_checks import frobenius, recompose, unit_diagonal

__all__ = ["alternating_projections", "contradiction", "hypersphere", "newton_finish", "spectral"]

#: steps of the alternating projections between looks for a contradiction, or for the end by Newton's method
_LOOK = 50

#: share of the gap that is left after as many steps where they are slow
_SLOW = 0.1

#: Newton steps that are tried then
_NEWTON = 30


def alternating_projections(
    A: FloatArray, scale: FloatArray, fixed: BoolArray, tol: float, max_iterations: int
) -> tuple[FloatArray, int, bool, FloatArray | None]:
    """Return the nearest correlation matrix by Dykstra's projections, iterations, success, contradiction.

    Parameters
    ----------
    A : ndarray, shape (n, n)
        Symmetric, unit diagonal.
    scale : ndarray, shape (n,)
        Roots of the weights: the norm is that of ``scale[i] scale[j] (X - A)[i, j]``.
    fixed : ndarray of bool, shape (n, n)
        Off-diagonal entries that keep their value.
    tol : float
        Greatest Frobenius step between iterations, and greatest gap between the two sets, at success.
    max_iterations : int

    Returns
    -------
    matrix : ndarray
        Fixed entries and diagonal are exact. Without fixed entries it is positive semidefinite to rounding,
        with them to ``tol``.
    iterations : int
    converged : bool
    proof : ndarray or None
        As :func:`contradiction`; the matrix is no correlation matrix then.

    Notes
    -----
    ``R = Y - D``, ``X = P_psd(R)``, ``D = X - R``, ``Y = P_fixed(X)``. ``Y - D`` equals ``R`` with what
    ``X`` lacks of the held entries added, and so it is written here. A step costs one decomposition,
    ``O(n^3)``; the error falls by a constant factor a step, which fixed entries near their bounds bring
    close to 1. Where 50 steps do not close nine tenths of the gap, :func:`newton_finish` is tried.

    References
    ----------
    Higham (2002), algorithm 3.3.
    """
    both = scale[:, None] * scale[None, :]
    held = fixed | np.eye(len(A), dtype=np.bool_)
    goal = A * both
    R, Y = goal.copy(), goal
    X, last_gap = Y, np.inf
    converged, step = False, 0
    while step < max_iterations and not converged:
        step += 1
        X = _positive_part(R)
        missing = np.where(held, goal - X, 0.0)
        change, gap = frobenius((X + missing - Y) / both), frobenius(missing / both)
        R, Y = R + missing, X + missing
        converged = max(change, gap) <= tol
        if converged or step % _LOOK:
            continue
        slow, last_gap = gap > _SLOW * last_gap, gap
        if not slow:
            continue
        proof = contradiction(X - Y, goal, held) if fixed.any() else None
        if proof is not None:
            return Y / both, step, False, proof * both
        solved, taken, converged = newton_finish(R, goal, held, tol * float(both.min()))
        if converged:
            X, Y, step = solved, np.where(held, goal, solved), step + taken
    if not fixed.any():
        return unit_diagonal(X / both), step, converged, None
    return np.where(held, A, Y / both), step, converged, None


def newton_finish(
    R: FloatArray, goal: FloatArray, held: BoolArray, tol: float
) -> tuple[FloatArray, int, bool]:
    """Return the positive part that has the held entries, by Newton's method from ``R``, steps, success.

    The projections look for held entries of ``R`` such that those of its positive part are the ``goal``;
    this solves the same equations by their generalised derivative, with steps halved until they gain.

    References
    ----------
    Qi and Sun (2006), algorithm 5.1; Borsdorf and Higham (2010), section 3.
    """
    lam, Q, X, missing = _lacking(R, goal, held)
    for taken in range(_NEWTON):
        error = frobenius(missing)
        if error <= tol:
            return X, taken, True
        step = _newton_step(lam, Q, held, missing)
        gain = float(np.add.reduce((step * missing).ravel()))
        now, length = _dual(lam, R, goal, held), 1.0
        while length > 1e-6:
            ahead = R + length * step
            lam, Q, X, missing = _lacking(ahead, goal, held)
            if (
                _dual(lam, ahead, goal, held) <= now - 1e-4 * length * gain
                or frobenius(missing) < 0.5 * error
            ):
                break
            length *= 0.5
        else:
            break
        R = ahead
    return X, _NEWTON, False


def _lacking(
    R: FloatArray, goal: FloatArray, held: BoolArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return eigenvalues and vectors of ``R``, its positive part, and what that lacks of held entries."""
    lam, Q = np.linalg.eigh(R)
    X = recompose(Q, np.maximum(lam, 0.0))
    return lam, Q, X, np.where(held, goal - X, 0.0)


def _dual(lam: FloatArray, R: FloatArray, goal: FloatArray, held: BoolArray) -> float:
    """Return the convex function of held entries of ``R`` whose slope is minus what is lacking."""
    squares = float(np.add.reduce(np.square(np.maximum(lam, 0.0))))
    return 0.5 * squares - float(np.add.reduce(np.where(held, R * goal, 0.0).ravel()))


def _newton_step(lam: FloatArray, Q: FloatArray, held: BoolArray, missing: FloatArray) -> FloatArray:
    """Return the change of held entries that moves the positive part by ``missing``: conjugate gradients."""
    top, low = np.maximum(lam[:, None], lam[None, :]), np.minimum(lam[:, None], lam[None, :])
    mixed = (top > 0.0) & (low <= 0.0)
    slope = np.where(mixed, top / np.where(mixed, top - low, 1.0), (low > 0.0).astype(np.float64))

    def derivative(H: FloatArray) -> FloatArray:
        inner = slope * _product(_product(Q.T, H), Q)
        return np.where(held, _product(_product(Q, inner), Q.T), 0.0)

    step, residual = np.zeros_like(missing), missing
    direction, size = residual, frobenius(residual) ** 2
    goal = size * 1e-12
    for _ in range(4 * len(lam)):
        image = derivative(direction)
        curvature = float(np.add.reduce((direction * image).ravel()))
        if curvature <= 1e-14 * frobenius(direction) ** 2:
            break
        step = step + (size / curvature) * direction
        residual = residual - (size / curvature) * image
        new = frobenius(residual) ** 2
        if new <= goal:
            break
        direction, size = residual + (new / size) * direction, new
    return 0.5 * (step + step.T)


def _product(left: FloatArray, right: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("ij,jk->ik", left, right))


def contradiction(gap: FloatArray, goal: FloatArray, held: BoolArray) -> FloatArray | None:
    """Return the proof that no positive semidefinite matrix has the held entries of ``goal``, or None.

    The proof is a positive semidefinite ``Z``, zero outside the held entries, with ``tr(Z goal) < 0``: every
    positive semidefinite ``X`` has ``tr(Z X) >= 0``, and the trace depends on held entries alone. The gap
    between the two sets, as the projections leave it, tends to such a ``Z`` where one exists.

    Parameters
    ----------
    gap, goal : ndarray, shape (n, n)
    held : ndarray of bool, shape (n, n)
        Includes the diagonal.

    Examples
    --------
    >>> Z, goal = np.ones((3, 3)), 1.9 * np.eye(3) - 0.9
    >>> contradiction(Z, goal, np.ones((3, 3), dtype=bool)) is not None
    True
    """
    Z = np.where(held, gap, 0.0)
    Z = Z + max(0.0, -float(np.linalg.eigvalsh(Z)[0])) * np.eye(len(Z))
    size = frobenius(Z)
    trace = float(np.add.reduce((Z * np.where(held, goal, 0.0)).ravel()))
    return Z if size > 0.0 and trace < -1e-9 * size * len(Z) else None


def spectral(A: FloatArray) -> FloatArray:
    """Return the matrix with negative eigenvalues set to 0, rescaled to unit diagonal; not the nearest.

    References
    ----------
    Rebonato and Jäckel (1999), section 3.

    Examples
    --------
    >>> spectral(np.array([[1, 0.9, 0.7], [0.9, 1, 0.3], [0.7, 0.3, 1]])).round(4)[0].tolist()
    [1.0, 0.894, 0.6963]
    """
    return unit_diagonal(_positive_part(A))


def hypersphere(
    A: FloatArray, scale: FloatArray, tol: float, max_iterations: int
) -> tuple[FloatArray, int, bool]:
    """Return ``B B'`` nearest to ``A`` over rows of ``B`` on the unit sphere, iterations, success.

    The search starts from the spectral answer, its zero eigenvalues lifted so that every direction is open.

    References
    ----------
    Rebonato and Jäckel (1999), section 2.
    """
    n = len(A)
    weight = np.square(scale[:, None] * scale[None, :])
    lam, vectors = np.linalg.eigh(A)
    start = vectors * np.sqrt(np.maximum(lam, 1e-3 * lam[-1]))

    def loss(flat: FloatArray) -> tuple[float, FloatArray]:
        V = flat.reshape(n, n)
        length = np.sqrt(np.add.reduce(V * V, axis=1))
        B = V / length[:, None]
        error = np.einsum("ik,jk->ij", B, B) - A
        slope = 4.0 * np.einsum("ij,jk->ik", weight * error, B)
        slope -= np.add.reduce(slope * B, axis=1)[:, None] * B
        value = float(np.add.reduce((weight * error * error).ravel()))
        return value, (slope / length[:, None]).ravel()

    found = minimize(
        loss,
        start.ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": max_iterations, "maxfun": 4 * max_iterations, "ftol": 0.0, "gtol": tol},
    )
    slope = float(np.abs(loss(found.x)[1]).max())
    B = found.x.reshape(n, n)
    best = unit_diagonal(recompose(B / np.sqrt(np.add.reduce(B * B, axis=1))[:, None], np.ones(n)))
    # the line search ends where the loss no longer resolves its slope, about the root of rounding
    return best, int(found.nit), slope <= max(tol, 1e-7)


def _positive_part(R: FloatArray) -> FloatArray:
    """Return the nearest positive semidefinite matrix: ``R`` without its negative eigenvalues."""
    lam, vectors = np.linalg.eigh(R)
    negative = int(np.searchsorted(lam, 0.0))
    if negative <= len(lam) // 2:
        return np.asarray(R - recompose(vectors[:, :negative], lam[:negative]))
    return recompose(vectors[:, negative:], lam[negative:])
