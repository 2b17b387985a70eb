"""NeMo: its own reader finds each chunk of its manifest, and its own loader makes batches of what is drawn."""

import json
import re
from ast import literal_eval
from collections import Counter
from pathlib import Path

import pytest

from tests.bridges.conftest import Serve
from tests.support.audio import write_audio
from tests.support.examples import ROOT, example
from tests.support.jobs import ENDS_S, start_quiet_job

pytestmark = [pytest.mark.any_redis, pytest.mark.needs_nemo]

BATCHES, SIZE, SHORTEST_S, BATCH_S = 100, 16, 0.3, 8


def write_manifest(folder: Path) -> None:
    """Write whole files and parts of them, with relative paths: those of even numbers are voice."""
    lines: list[dict[str, object]] = []
    for number in range(20):
        name = ("voice", "music")[number % 2]
        path = write_audio(folder / "audio" / f"{number}.wav", 2.0).relative_to(folder)
        for place in ({"duration": 2.0}, {"offset": 0.5, "duration": SHORTEST_S}, {"offset": 10 / 13, "duration": 0.9}):
            lines.append({"audio_filepath": str(path), **place, "text": f"{name} {len(lines)}", "kind": name})
    (folder / "train.json").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_loader_of_nemo_hears_what_is_drawn(serve: Serve, redis_url: str, prefix: str, tmp_path: Path) -> None:
    write_manifest(tmp_path)
    noted = serve("train.json", "--category-column", "kind")
    assert "read as a NeMo manifest: audio_filepath as path, duration as duration_s, offset as start_s" in noted
    program = tmp_path / "example.py"
    program.write_text(example("data_type_parser"))
    settings = {"REDIS_URL": redis_url, "WORKER_PREFIX": prefix, "PYTHONPATH": str(ROOT)}
    with start_quiet_job(str(program), settings=settings, cwd=tmp_path) as process:
        out, errors = process.communicate(timeout=ENDS_S)
    assert process.returncode == 0, errors[-4000:]
    lines = re.findall(r"^\(\d+, \d+\) (\[.*\])$", out, re.MULTILINE)
    assert Counter(text.split()[0] for line in lines for text in literal_eval(line)).keys() == {"voice", "music"}
    assert len(lines) >= BATCHES * SIZE * SHORTEST_S / BATCH_S
