"""The texts of the Lua scripts, each in a file of its own."""

from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).parent / "scripts"  # `importlib.resources` would load a dozen modules for it


def read_script(name: str) -> bytes:
    """Read a script.

    Args:
        name: Name of its file in `scripts/`.
    """
    return (_FOLDER / name).read_bytes()
