"""Labels spread over a graph of nearest neighbours in the strong model's frozen features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trainers.components.weak_labels import FloatArray, Nearest
from trainers.lazy import sparse

if TYPE_CHECKING:
    from scipy.sparse import csr_array

TOLERANCE = 1e-6  # of the residual, relative to the right-hand side
STEPS = 1000  # of conjugate gradients: at alpha .99 about a hundred are needed


def similarity_graph(near: Nearest) -> csr_array:
    """S = D^-½ W D^-½, sparse float64 [n, n] with at most 2·n·k entries; symmetric.

    W_ij is the cosine of two examples, or 0 if that is negative, where one is among the k nearest others of
    the other, else 0. near: these, as `neighbours.nearest` gives them. D holds the row sums of W; the row of
    an example without neighbours is 0.
    """
    indices, similarities = near
    total, width = indices.shape
    starts = np.arange(0, total * width + 1, max(width, 1)) if width else np.zeros(total + 1, dtype=np.int64)
    weights = np.maximum(similarities, 0).astype(np.float64).ravel()
    directed = sparse.csr_array((weights, indices.ravel(), starts), shape=(total, total))
    graph = directed.maximum(directed.T.tocsr())
    degrees = graph.sum(axis=1)
    roots = np.divide(1, np.sqrt(degrees), out=np.zeros(total), where=degrees > 0)
    scale = sparse.diags_array(roots)
    return (scale @ graph @ scale).tocsr()


def spread(graph: csr_array, start: NDArray[np.float64], alpha: float) -> NDArray[np.float64]:
    """F = (I - alpha·S)^-1 · start, float64 [n], by conjugate gradients.

    The matrix is positive definite, since the eigenvalues of S lie in [-1, 1] and alpha below 1. Time and
    memory grow with the entries of S. Zhou et al. 2004, "Learning with Local and Global Consistency", section
    2, without the factor 1 - alpha; the method: Nocedal & Wright 2006, chapter 5.
    """
    matrix = sparse.eye_array(len(start)) - alpha * graph
    found, unsettled = sparse.linalg.cg(matrix.tocsr(), start, rtol=TOLERANCE, maxiter=STEPS)
    assert not unsettled, "conjugate gradients did not settle"
    values: NDArray[np.float64] = found
    return values


def propagated(near: Nearest, probs: NDArray[np.float64], alpha: float) -> FloatArray:
    """P(class 1), float64 [n]: the share of class 1 in what reaches each example over the graph.

    Both classes spread, F_1 = (I - alpha·S)^-1·p and F_0 = (I - alpha·S)^-1·(1 - p), and the answer is
    F_1 / (F_0 + F_1) = ½ + (I - alpha·S)^-1·(p - ½) / (I - alpha·S)^-1·1.
    """
    graph = similarity_graph(near)
    whole = spread(graph, np.ones(len(probs)), alpha)
    return np.clip(0.5 + spread(graph, probs - 0.5, alpha) / whole, 0, 1)
