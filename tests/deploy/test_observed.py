"""The collectors and one-liners of `deploy/observability/`, on the log of a real run."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.observability import (
    METRICS,
    OBSERVABILITY,
    PREFIX,
    fields_of,
    metric,
    vector,
)
from tests.support.observed import observed_log

README = (OBSERVABILITY / "README.md").read_text(encoding="utf-8").partition("## Without Grafana")[2]
NO_EVENT = "Traceback (most recent call last):"
TOLD = {
    "worker.started",
    "worker.ready",
    "worker.stats",
    "category.stats",
    "weights.changed",
    "weights.rejected",
    "mix.left_out",
    "request.served",
    "request.rejected",
    "redis.lost",
    "redis.restored",
    "worker.draining",
    "worker.stopped",
}


def commands() -> dict[str, str]:
    """Return the README's commands on `worker.log`, each by the words before it."""
    found = {}
    for words, block in re.findall(r"(?ms)^([^\n]+)\n(?:[^\n]+\n)*\n```sh\n(.*?)^```", README):
        for number, line in enumerate(block.splitlines()):
            found[f"{words} ({number + 1})"] = line
    return found


def answers(folder: Path, start: str) -> list[str]:
    """Run the commands after these words, and return the lines that they print."""
    chosen = [line for words, line in commands().items() if words.startswith(start)]
    assert chosen, start
    return [line for command in chosen for line in run(command, folder).splitlines()]


def run(command: str, folder: Path) -> str:
    script = f"set -o pipefail; {command}"
    done = subprocess.run(
        ["/bin/bash", "-c", script], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), command
    return done.stdout


@pytest.mark.any_redis
@pytest.mark.needs("jq")
def test_a_real_log_answers_the_questions(redis_url: str, database_url: str, prefix: str, tmp_path: Path) -> None:
    log = observed_log(redis_url, database_url, prefix, tmp_path)
    lines = log.read_text(encoding="utf-8").splitlines()
    events = [json.loads(line) for line in lines]

    _events_have_what_is_read(events)
    _metrics_add_up(lines, events)
    (tmp_path / "worker.log").write_text("\n".join([NO_EVENT, "[1]", "7", *lines]) + "\n", encoding="utf-8")
    _commands_answer(tmp_path, events)


def _events_have_what_is_read(events: list[dict[str, Any]]) -> None:
    assert {event["event"] for event in events} >= TOLD
    for event in events:
        assert event.keys() == fields_of(event["event"])


def _metrics_add_up(lines: list[str], events: list[dict[str, Any]]) -> None:
    samples = [sample for line in lines for sample in vector(line)[1]]
    assert {metric(sample).name for sample in samples} <= {known.name for known in METRICS}

    def total(name: str) -> Any:
        return sum(sample["counter"]["value"] for sample in samples if sample["name"] == PREFIX + name)

    def logged(event: str, field: str) -> Any:
        return sum(line[field] for line in events if line["event"] == event)

    assert total("events_total") == len(lines)
    assert total("requests_total") == logged("worker.stats", "requests") == 151
    assert total("chunks_total") == total("category_chunks_total") == logged("category.stats", "count") == 150 * 64
    assert total("errors_total") == 1
    up = [sample["gauge"]["value"] for sample in samples if sample["name"] == PREFIX + "up"]
    assert up[-1] == 0
    assert set(up[:-1]) == {1}


def _commands_answer(folder: Path, events: list[dict[str, Any]]) -> None:
    def count(holds: Callable[[dict[str, Any]], bool]) -> int:
        return sum(map(holds, events))

    zero = [json.loads(line) for line in answers(folder, "When was voice set to zero")]
    assert [json.loads(line["after"]) for line in zero] == [{"music": 1.0}]
    assert json.loads(zero[0]["before"]) == {"voice": 0.7, "music": 0.3}
    assert zero[0]["who"]
    assert zero[0]["reason"] == "reason 1"
    assert len(answers(folder, "All changes of weights")) == count(lambda line: line["event"] == "weights.changed")
    bad = answers(folder, "The last warnings and errors")
    assert any('"event":"weights.rejected"' in line for line in bad)
    assert any(re.fullmatch(r" +\d+ weights\.rejected", line) for line in bad)
    shares = answers(folder, "Share of each category over time")
    assert len(shares) == count(lambda line: line["event"] == "category.stats") + len({"voice", "music"})
    drawn = dict(line.split("\t")[1:3] for line in answers(folder, "What each category got"))
    assert sum(map(int, drawn.values())) == 150 * 64
    assert 0 < int(drawn["voice"]) < int(drawn["music"])
    assert answers(folder, "The five slowest intervals")
    slowest = [float(line.split("\t")[3]) for line in answers(folder, "The five slowest requests")]
    assert (
        slowest
        == sorted((line["latency_ms"] for line in events if line["event"] == "request.served"), reverse=True)[:5]
    )
    (last,) = answers(folder, "Has everybody got it?")
    stats = [line for line in events if line["event"] == "worker.stats"]
    assert last.split("\t")[1] == stats[-1]["weights_version"]
    lost = [line.split("\t")[2] for line in answers(folder, "When a server was away")]
    assert lost == [line["event"] for line in events if line["event"].startswith("redis.")]
    ends = [line.split("\t") for line in answers(folder, "How each worker began and ended")]
    assert [line[2] for line in ends] == ["worker.started", "worker.ready", "worker.draining", "worker.stopped"]
    assert ends[-1][-1] == "0"
    assert answers(folder, "What a worker wrote that is no log line") == [NO_EVENT, "[1]", "7"]
    tell = [line.partition("| ")[2] for words, line in commands().items() if words.startswith("As it happens")]
    told = run(f"{tell[0]} worker.log", folder).splitlines()
    assert len(told) == count(lambda line: line["level"] != "info")


@pytest.mark.needs("jq")
@pytest.mark.parametrize(
    ("before", "after", "is_told"),
    [
        ('{"music":0.5,"voice":0.5}', '{"music":1.0}', True),
        ('{"music":0.5,"voice":0.5}', '{"music":0.1,"spee', True),
        ('{"music":0.5,"spee', '{"music":1.0}', True),
        ('{"music":1.0}', '{"music":0.1,"spee', False),
        ('{"music":0.5,"voice":0.5}', '{"voice":1.0}', False),
        (None, '{"music":1.0}', False),
    ],
)
def test_weights_that_were_cut_may_be_those(before: str | None, after: str, is_told: bool, tmp_path: Path) -> None:  # noqa: FBT001
    line = {"event": "weights.changed", "before": before, "after": after}
    (tmp_path / "worker.log").write_text(json.dumps(line) + "\n", encoding="utf-8")
    assert len(answers(tmp_path, "When was voice set to zero")) == is_told


@pytest.mark.needs("journalctl")
@pytest.mark.parametrize("start", ["Put the lines of all workers", "As it happens"])
def test_options_of_journalctl_are_accepted(start: str, tmp_path: Path) -> None:
    found = [line for words, line in commands().items() if words.startswith(start) and "journalctl" in line]
    assert found
    for line in found:
        run(re.split(r" [|>]", line)[0].replace(" --follow", ""), tmp_path)


def test_every_command_is_run() -> None:
    with_log = [words for words, line in commands().items() if line.startswith("jq")]
    source = Path(__file__).read_text(encoding="utf-8")
    asked = re.findall(r'answers\(folder, "([^"]*)"', source)
    assert [words for words in with_log if not any(words.startswith(start) for start in asked)] == []
