"""Seeds of a sequence of requests, each made of the sequence's own seed: fixed for ever, the same wherever made."""

import hashlib

_LARGEST_BITS = 63


def seed_of(seed: int, number: int, *, rank: int = 0, worker: int = 0, iteration: int = 0) -> int:
    """Make the seed of one request out of the seed of the sequence that it belongs to.

    It is the first 63 bits of the SHA-256 of the text `seed:rank:worker:iteration:number`, all in decimal digits.

    Args:
        seed: Of the sequence, 0 to 2^63-1.
        number: Of the request in its sequence, from 0.
        rank: Which process of the training asks.
        worker: Which DataLoader worker of that process asks.
        iteration: Which iteration of that worker it is, from 0.

    Returns:
        0 to 2^63-1.
    """
    text = f"{seed}:{rank}:{worker}:{iteration}:{number}"
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest, "big") >> (8 * len(digest) - _LARGEST_BITS)
