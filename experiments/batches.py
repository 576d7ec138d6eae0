"""Which images a generation sees: all of them once per epoch, in an order of its own; pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from experiments.seeds import order_rng


def batch_of(number: int, n_images: int, n_batch: int, seed: int) -> NDArray[np.intp]:
    """Indices of the images of a batch.

    Batches of an epoch have no image in common; what is left of the epoch when no whole batch is left is not seen.

    Parameters
    ----------
    number : of the batch, from 0; epochs follow each other without end
    n_batch : images of a batch, 1 … n_images

    Returns
    -------
    (n_batch,) int64

    Raises
    ------
    ValueError : a batch larger than the data set.
    """
    if not 1 <= n_batch <= n_images:
        raise ValueError(f"a batch of {n_batch} images is not allowed: there are {n_images}, give 1 … {n_images}.")
    epoch, place = divmod(number, n_images // n_batch)
    order = order_rng(seed, epoch).permutation(n_images)
    return order[place * n_batch : (place + 1) * n_batch]
