"""Each process of a run reads all modules of tests: none of them loads what takes long before a test needs it."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

TESTS: Final = Path(__file__).parent
SLOW: Final = (
    "accelerate",
    "lancedb",
    "lhotse",
    "lightning",
    "matplotlib",
    "playwright",
    "pyarrow",
    "scipy.stats",
    "torch",
    "torchdata",
    "transformers",
    "worker.client.torch",
)
"""What takes longer to load than all modules of tests of a folder."""


def read_modules() -> list[Path]:
    """Return the modules that pytest reads before the first test."""
    names = ("conftest.py", "test_*.py", "support/*.py")
    return sorted({path for name in names for path in TESTS.rglob(name)})


def loaded(code: str) -> Iterator[str]:
    """Yield the names of what a module loads as it is read."""
    for statement in ast.parse(code).body:
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and statement.module:
            yield from (f"{statement.module}.{alias.name}" for alias in statement.names)


def slow(code: str) -> list[str]:
    """Return what of it takes long."""
    return [name for name in loaded(code) if f"{name}.".startswith(tuple(f"{one}." for one in SLOW))]


def test_reading_all_tests_loads_nothing_that_takes_long() -> None:
    modules = read_modules()
    assert len(modules) > 300
    found = {str(path.relative_to(TESTS)): slow(path.read_text()) for path in modules}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize("code", ["import scipy.stats", "from scipy import stats", "from torch.utils import data"])
def test_what_takes_long_is_found(code: str) -> None:
    assert slow(code)


@pytest.mark.parametrize(
    "code", ["import scipy", "def test():\n    import torch", "if TYPE_CHECKING:\n    import torch"]
)
def test_what_is_loaded_later_is_none_of_it(code: str) -> None:
    assert not slow(code)
