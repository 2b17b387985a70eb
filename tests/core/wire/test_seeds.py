"""Seeds of a sequence: they never change, requests accept them, and no two are the same."""

import re
from pathlib import Path

from worker.core.wire.seeds import seed_of

PROTOCOL = (Path(__file__).parents[3] / "worker" / "PROTOCOL.md").read_text(encoding="utf-8")
VECTORS = re.findall(r"^\| `(\d+):(\d+):(\d+):(\d+):(\d+)` \| (\d+) \|$", PROTOCOL, re.MULTILINE)


def test_they_are_what_the_contract_says() -> None:
    assert len(VECTORS) == 3
    for vector in VECTORS:
        seed, rank, worker, iteration, number, expected = map(int, vector)
        assert seed_of(seed, number, rank=rank, worker=worker, iteration=iteration) == expected
    assert seed_of(42, 0) == 8_940_093_567_415_407_799


def test_no_two_are_alike() -> None:
    places = [
        (seed, number, rank, worker)
        for seed in (0, 1, 42)
        for number in range(50)
        for rank in range(4)
        for worker in range(3)
    ]
    seeds = {
        seed_of(seed, number, rank=rank, worker=worker, iteration=iteration)
        for seed, number, rank, worker in places
        for iteration in range(3)
    }
    assert len(seeds) == 3 * len(places)
    assert all(0 <= seed < 2**63 for seed in seeds)
