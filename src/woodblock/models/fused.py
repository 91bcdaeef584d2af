"""The steps between the matrix products of a layer and of the loss, on a CPU in fp32: each in one pass over memory.

Every operation of PyTorch reads its tensors from memory and writes one. Between two products, a training step would move
its activations some thirty times, and the cores would wait for memory. These functions, compiled by numba, do all steps
for one row (a token's activations, or a query's logits) while it is in the first cache. Each runs in one thread, without
Python's lock: threads.py has one thread for each core.

Arrays are float32 and contiguous in their last dimension. A docstring names first what is written. NaN and infinity are
passed on, so that a run that diverges is noticed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Floats = npt.NDArray[np.float32]
Bits = npt.NDArray[np.int32]  # of floats, to work in
Integers = npt.NDArray[np.int64]

# Sums in the order that fills a vector register. Not all of numba's fastmath: it assumes that there is no NaN.
FAST = {"reassoc", "contract", "arcp", "nsz"}
LANES = 16

# exp(x) = 2^k · exp(r) with x = k ln 2 + r. ln 2 is in two parts, so that r is exact. exp(r) is a polynomial of degree 7
# (Cephes' expf: Moshier 1989).
LOG2_E, LN2_HIGH, LN2_LOW = np.float32(1.44269504), np.float32(0.693359375), np.float32(-2.12194440e-4)
P0, P1, P2 = np.float32(1.9875691500e-4), np.float32(1.3981999507e-3), np.float32(8.3334519073e-3)
P3, P4, P5 = np.float32(4.1665795894e-2), np.float32(1.6666665459e-1), np.float32(5.0000001201e-1)
LOWEST, HIGHEST = np.float32(-87.0), np.float32(88.0)  # beyond these, 2^k is not a normal number
BIAS, MANTISSA = np.int32(127), np.int32(23)
ZERO, HALF, ONE = np.float32(0.0), np.float32(0.5), np.float32(1.0)


@njit(cache=True, nogil=True, fastmath={"contract", "nsz"}, error_model="numpy")  # not reordered: r would not be exact
def exponential(x: Floats, bits: Bits) -> None:
    """x [n] = exp(x), for x up to 88, with an error of at most 1.2e-7; bits: int32 [n] to work in."""
    for j in range(len(x)):
        value = max(x[j], LOWEST)
        k = np.floor(value * LOG2_E + HALF)
        r = value - k * LN2_HIGH - k * LN2_LOW
        p = ((((P0 * r + P1) * r + P2) * r + P3) * r + P4) * r + P5
        x[j] = p * r * r + r + ONE
        bits[j] = (np.int32(k) + BIAS) << MANTISSA
    power = bits.view(np.float32)
    for j in range(len(x)):
        x[j] *= power[j]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def softmax(row: Floats, bits: Bits) -> tuple[np.float32, np.float32]:
    """row [n] = exp(row − its maximum), not yet divided by the sum; returns (sum, maximum)."""
    n = len(row)
    lanes = np.full(LANES, row[0])
    whole = n - n % LANES
    for start in range(0, whole, LANES):
        for lane in range(LANES):
            lanes[lane] = max(lanes[lane], row[start + lane])
    highest = row[0]
    for lane in range(LANES):
        highest = max(highest, lanes[lane])
    for j in range(whole, n):
        highest = max(highest, row[j])
    for j in range(n):
        row[j] -= highest
    exponential(row, bits)
    total = ZERO
    for j in range(n):
        total += row[j]
    return total, highest


# ------------------------------------------------------------------------------------------------ norms


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def normalise(normal: Floats, factors: Floats, x: Floats, eps: float) -> None:
    """normal [N, D] = x scaled to a root mean square of 1, and the factors [N] that did it."""
    count, dim = x.shape
    share, little = np.float32(1.0 / dim), np.float32(eps)
    for i in range(count):
        total = ZERO
        for j in range(dim):
            total += x[i, j] * x[i, j]
        factor = ONE / np.sqrt(total * share + little)
        factors[i] = factor
        for j in range(dim):
            normal[i, j] = x[i, j] * factor


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def normalise_backward(grad: Floats, normal: Floats, factors: Floats, beside: Floats) -> None:
    """grad [N, D] = the gradient of x, from that of normalise's result; plus `beside` [N, D], that of the residual."""
    count, dim = grad.shape
    share = np.float32(1.0 / dim)
    for i in range(count):
        along = ZERO
        for j in range(dim):
            along += grad[i, j] * normal[i, j]
        along *= share
        factor = factors[i]
        for j in range(dim):
            grad[i, j] = beside[i, j] + factor * (grad[i, j] - along * normal[i, j])


# ------------------------------------------------------------------------------------------------ feed-forward


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def exp_of_minus(e: Floats, bits: Bits, gate: Floats) -> None:
    """e [H] = exp(-gate), so that the sigmoid is 1 / (1 + e)."""
    for j in range(len(e)):
        e[j] = min(-gate[j], HIGHEST)
    exponential(e, bits)


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def swiglu(hidden: Floats, both: Floats) -> None:
    """hidden [N, H] = silu(gate) · up, where both [N, 2 H] is gate and up side by side."""
    count, size = hidden.shape
    e, bits = np.empty(size, np.float32), np.empty(size, np.int32)
    for i in range(count):
        gate, up = both[i, :size], both[i, size:]
        exp_of_minus(e, bits, gate)
        for j in range(size):
            hidden[i, j] = gate[j] * up[j] / (ONE + e[j])


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def swiglu_backward(grads: Floats, hidden: Floats, both: Floats) -> None:
    """grads [N, 2 H] = the gradients of gate and up. hidden [N, H] has its own gradient, and becomes silu(gate) · up."""
    count, size = hidden.shape
    e, bits = np.empty(size, np.float32), np.empty(size, np.int32)
    for i in range(count):
        gate, up = both[i, :size], both[i, size:]
        exp_of_minus(e, bits, gate)
        for j in range(size):
            sigmoid, pull = ONE / (ONE + e[j]), hidden[i, j]
            opened = gate[j] * sigmoid
            hidden[i, j] = opened * up[j]
            grads[i, j] = pull * up[j] * (sigmoid + opened * (ONE - sigmoid))
            grads[i, size + j] = pull * opened


# ------------------------------------------------------------------------------------------------ attention


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def turn(turned: Floats, x: Floats, cos: Floats, sin: Floats) -> None:
    """turned [C] = x [C] by a position's rotary angles [C / 2]; pairs are C / 2 apart."""
    half = len(cos)
    for c in range(half):
        a, b = x[c], x[half + c]
        turned[c] = a * cos[c] - b * sin[c]
        turned[half + c] = b * cos[c] + a * sin[c]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def lay_out(q: Floats, k: Floats, v: Floats, joined: Floats, cos: Floats, sin: Floats, scale: float) -> None:
    """q [B, K, T, G, C], k and v [B, K, T, C] from joined [B, T, (G + 2) K, C]; q and k turned, q times scale.

    Positions come before the heads of a group, so that a block of queries is one block of memory.
    """
    rows, kv_heads, length, group, channels = q.shape
    heads, by = group * kv_heads, np.float32(scale)
    for row in range(rows):
        for t in range(length):
            for head in range(kv_heads):
                for g in range(group):
                    turn(q[row, head, t, g], joined[row, t, head * group + g], cos[t], sin[t])
                    for c in range(channels):
                        q[row, head, t, g, c] *= by
                turn(k[row, head, t], joined[row, t, heads + head], cos[t], sin[t])
                for c in range(channels):
                    v[row, head, t, c] = joined[row, t, heads + kv_heads + head, c]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def lay_out_backward(joined: Floats, q: Floats, k: Floats, v: Floats, cos: Floats, sin: Floats, scale: float) -> None:
    """The gradient of `joined` from those of q, k and v; shapes and angles as in lay_out."""
    rows, kv_heads, length, group, channels = q.shape
    heads, by, back = group * kv_heads, np.float32(scale), -sin
    for row in range(rows):
        for t in range(length):
            for head in range(kv_heads):
                for g in range(group):
                    turn(joined[row, t, head * group + g], q[row, head, t, g], cos[t], back[t])
                    for c in range(channels):
                        joined[row, t, head * group + g, c] *= by
                turn(joined[row, t, heads + head], k[row, head, t], cos[t], back[t])
                for c in range(channels):
                    joined[row, t, heads + kv_heads + head, c] = v[row, head, t, c]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def attention_weights(weights: Floats, firsts: Integers, start: int, group: int) -> None:
    """weights [B, K, queries · G, keys]: from logits to softmax over the keys that a query sees, 0 for the others.

    Queries are positions from `start` on; those of the heads of a group are side by side. A query sees the keys from
    firsts [B, T], where its document begins, to its own position.
    """
    rows, kv_heads, queries, keys = weights.shape
    bits = np.empty(keys, np.int32)
    for row in range(rows):
        for head in range(kv_heads):
            for i in range(queries):
                position = start + i // group
                first, one = firsts[row, position], weights[row, head, i]
                seen = one[first : position + 1]
                total, _ = softmax(seen, bits[: len(seen)])
                for j in range(len(seen)):
                    seen[j] /= total
                one[:first] = ZERO
                one[position + 1 :] = ZERO


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def attention_weights_backward(grads: Floats, weights: Floats) -> None:
    """grads [N, keys]: from the gradients of a softmax's results, `weights` [N, keys], to the gradients of its logits."""
    count, keys = grads.shape
    for i in range(count):
        along = ZERO
        for j in range(keys):
            along += grads[i, j] * weights[i, j]
        for j in range(keys):
            grads[i, j] = weights[i, j] * (grads[i, j] - along)


# ------------------------------------------------------------------------------------------------ loss


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def cross_entropy(logits: Floats, targets: Integers) -> float:
    """logits [N, V] become their own gradient; returns the loss in nats, summed over the targets [N] from 0 up."""
    count, vocabulary = logits.shape
    bits, loss = np.empty(vocabulary, np.int32), 0.0
    for i in range(count):
        row, target = logits[i], targets[i]
        if target < 0:
            row[:] = ZERO
            continue
        right = row[target]
        total, highest = softmax(row, bits)
        loss += np.log(total) + highest - right
        for j in range(vocabulary):
            row[j] /= total
        row[target] -= ONE
    return loss
