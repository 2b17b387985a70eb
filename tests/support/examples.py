"""The examples of README.md and of the client's page, as they are printed, by what they are about."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.support.jobs import PROGRAMS
from tests.support.pytorch import Imported, Program

ROOT: Final = Path(__file__).parents[2]
README: Final = (ROOT / "README.md").read_text(encoding="utf-8")
CLIENT: Final = (ROOT / "worker" / "client" / "README.md").read_text(encoding="utf-8")
BLOCKS: Final[list[str]] = re.findall(r"```python\n(.*?)```", README + CLIENT, re.DOTALL)
OF_TORCHDATA: Final = "'set_vital' is deprecated"  # torchdata calls what torch says is deprecated
_OWN_TESTS: Final = ("fastapi", "soundfile", "transformers", "lhotse", "lancedb")
"""Words of examples that need more than a worker to run: other tests run these."""


def plain_examples() -> list[str]:
    """Return the examples that need a worker alone."""
    return [block for block in BLOCKS if not any(word in block for word in _OWN_TESTS)]


def example(words: str) -> str:
    """Return the one example that has some words."""
    [found] = [block for block in BLOCKS if words in block]
    return found


def run_example(
    words: str,
    folder: Path,
    settings: Mapping[str, str],
    quiet: Sequence[str] = (),
    imported: Imported | None = None,
) -> Program:
    """Start the example that has some words, with PyTorch there and each warning an error.

    Args:
        words: Words of it alone.
        folder: Where it runs.
        settings: What it has in its environment.
        quiet: How warnings of others begin.
        imported: The process that it is forked off; None: one that has imported PyTorch.
    """
    program = folder / "example.py"
    program.write_text(example(words), encoding="utf-8")
    return Program(
        PROGRAMS / "strict.py",
        str(program),
        OF_TORCHDATA,
        *quiet,
        out=folder / "out",
        settings={**settings, "PYTHONPATH": str(ROOT)},
        imported=imported,
    )
