"""The code of the package as syntax trees, for tests of its rules; parsed on first use."""

import ast
from collections.abc import Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


@cache
def modules() -> Mapping[str, ast.Module]:
    """Parse all modules of the package: path below the root -> tree."""
    paths = sorted(ROOT.glob("worker/**/*.py"))
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in paths}
