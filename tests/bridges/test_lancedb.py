"""LanceDB: a draw names the offsets of rows, and a batch is one `take`."""

from ast import literal_eval
from collections import Counter
from pathlib import Path

import pytest

from tests.bridges.conftest import RunPrinted, Serve
from tests.bridges.going import PROGRAMS, check, told
from tests.support.jobs import run_job
from tests.support.pytorch import Imported

pytestmark = pytest.mark.any_redis

IMPORTED = ("lance_namespace", "pyarrow.dataset")
"""Most of what importing LanceDB takes. A process that has imported LanceDB itself is not to be forked."""
OPENS, EXPORTS = "return lancedb.connect", "_rowoffset"


def test_a_training_hears_rows_of_a_table(
    run_printed: RunPrinted, serve: Serve, redis_url: str, prefix: str, tmp_path: Path, libraries: Imported
) -> None:
    """The training runs by the examples, and with a moving mix and a state."""
    run_job(str(PROGRAMS / "clips.py"), cwd=tmp_path)
    assert run_printed(EXPORTS) == []
    serve("rows.csv")
    lines = [line.partition(") ") for line in run_printed(OPENS)]
    assert [shape for shape, _, _ in lines] == ["(32, 2"] * 100
    assert Counter(name for _, _, names in lines for name in literal_eval(names)).keys() == {"voice", "music"}
    check(told("lancedb", redis_url, prefix, tmp_path, libraries))
