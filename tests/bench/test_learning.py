"""The benchmark that trains on sounds: it takes any number of steps."""

import pytest


@pytest.mark.parametrize(
    ("steps", "looked"), [(1, [0, 1]), (3, [0, 1, 2, 3]), (39, [*range(40)]), (80, [*range(0, 81, 2)])]
)
def test_few_steps_are_looked_at_each(steps: int, looked: list[int]) -> None:
    from tests.bench.learning import looks

    assert list(looks(steps)) == looked
