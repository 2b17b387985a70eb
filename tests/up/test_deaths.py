"""`up` gives up on a process that dies again and again."""

import pytest

from worker.errors import DependencyError
from worker.up.deaths import Deaths


def test_the_fifth_death_in_a_minute_is_the_last() -> None:
    deaths = Deaths()
    for _ in range(4):
        deaths.note("it fell")
    with pytest.raises(DependencyError, match=r"^5 times in a minute, it fell$"):
        deaths.note("it fell")
