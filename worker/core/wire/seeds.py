"""Seeds of the requests of a sequence, derived from one seed. They never change, on any platform or version."""

import hashlib

_LARGEST_BITS = 63


def seed_of(seed: int, number: int, *, rank: int = 0, worker: int = 0, iteration: int = 0) -> int:
    """Derive the seed of one request from the seed of its sequence.

    It is the first 63 bits of the SHA-256 of the text `seed:rank:worker:iteration:number`, all in decimal digits.

    Args:
        seed: Seed of the sequence, 0 to 2^63-1.
        number: Number of the request in its sequence, from 0.
        rank: Which process of the training asks.
        worker: Which DataLoader worker of that process asks.
        iteration: Which iteration of that worker it is, from 0.

    Returns:
        0 to 2^63-1.
    """
    text = f"{seed}:{rank}:{worker}:{iteration}:{number}"
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest, "big") >> (8 * len(digest) - _LARGEST_BITS)
