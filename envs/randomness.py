"""Random numbers of the compiled tick: SplitMix64, whose whole state is one number in the world's state."""

from numba import njit, uint64


@njit(cache=True, forceinline=True)
def draw(n, random):
    """A whole number from 0 … n-1 of the SplitMix64 generator whose state is ``random[0]``.

    Source: Steele, Lea, Flood 2014, OOPSLA, doi:10.1145/2660193.2660195. The modulo bias is below n / 2**64.
    """
    random[0] += uint64(0x9E3779B97F4A7C15)
    bits = random[0]
    bits = (bits ^ (bits >> uint64(30))) * uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> uint64(27))) * uint64(0x94D049BB133111EB)
    bits = bits ^ (bits >> uint64(31))
    return int(bits % uint64(n))


@njit(cache=True, forceinline=True)
def shuffle(order, random):
    """Fisher-Yates shuffle of `order`, (n,) int64, in place."""
    for i in range(order.shape[0] - 1, 0, -1):
        j = draw(i + 1, random)
        order[i], order[j] = order[j], order[i]
