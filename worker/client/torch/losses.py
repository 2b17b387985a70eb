"""Bring tensors of losses to the host."""

from collections.abc import Sequence

import torch


def to_host(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """Join vectors, and bring them to the host in one go.

    Args:
        parts: Tensors of one dimension, on any devices and of any types.

    Returns:
        A tensor on the host, of float64 if the elements are no whole numbers.
    """
    devices = {part.device for part in parts}
    on_one = list(parts) if len(devices) == 1 else [part.cpu() for part in parts]
    whole = torch.cat(on_one).cpu()
    return whole.double() if whole.is_floating_point() else whole
