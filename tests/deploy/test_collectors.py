"""The collectors of `deploy/observability/`: Vector and Alloy make the same of each event, of fields that it has."""

import re
from collections import Counter
from typing import ClassVar

import pytest

from tests.support.alloy import Block, Name, parse_alloy
from tests.support.observability import (
    METRICS,
    OBSERVABILITY,
    PREFIX,
    SOURCES,
    STREAM_LABELS,
    VECTOR,
    Metric,
    fields_of,
    line_of,
    vector,
)
from worker.core.events import EVENTS
from worker.settings.model import Settings

ALLOY = parse_alloy((OBSERVABILITY / "config.alloy").read_text(encoding="utf-8"))


class TestVector:
    @pytest.mark.parametrize("name", SOURCES)
    def test_every_input_is_there(self, name: str) -> None:
        there = {*SOURCES[name], *VECTOR["transforms"]}
        for part in [*VECTOR["transforms"].values(), *VECTOR["sinks"].values()]:
            for wanted in part["inputs"]:
                assert any(re.fullmatch(wanted.replace("*", ".*"), one) for one in there), wanted

    def test_streams_have_three_labels(self) -> None:
        assert VECTOR["sinks"]["loki"]["labels"] == {name: f"{{{{ {name} }}}}" for name in STREAM_LABELS}

    @pytest.mark.parametrize("line", ["Traceback (most recent call last):", "[1]", "", '{"level": 7}'])
    def test_what_is_no_event_is_kept_and_counted(self, line: str) -> None:
        entry, samples = vector(line)
        assert (entry["message"], entry["event"], entry["level"]) == (line, "none", "unknown")
        assert [sample["name"] for sample in samples] == [PREFIX + "events_total"]

    def test_null_makes_no_metric_and_no_label(self) -> None:
        _, samples = vector(line_of("category.stats", dataset=None, z=None))
        assert PREFIX + "category_z" not in {sample["name"] for sample in samples}
        assert all("dataset" not in sample["tags"] for sample in samples)

    def test_a_worker_is_up_until_it_stopped(self) -> None:
        up = {
            event: [sample["gauge"]["value"] for sample in vector(line_of(event))[1] if sample["name"] == PREFIX + "up"]
            for event in ("worker.ready", "worker.stats", "worker.stopped")
        }
        assert up == {"worker.ready": [1], "worker.stats": [1], "worker.stopped": [0]}


class TestAlloy:
    """`config.alloy`, whose metrics have to be those of `vector.yaml`: one dashboard shows both."""

    PROCESSES: ClassVar = {block.label: block for block in ALLOY.blocks if block.kind == "loki.process"}

    def events_of(self, process: Block) -> set[str]:
        """Return the events that a process is about; all, where it does not choose."""
        for match in process.all("stage.match"):
            assert match.values["action"] == "drop"
            found = re.search(r'event![=~]"([^"]*)"', match.values["selector"])
            assert found
            return set(found[1].split("|"))
        return {*EVENTS}

    def test_every_receiver_is_there(self) -> None:
        there = {f"{block.kind}.{block.label}.receiver" for block in ALLOY.blocks}
        for block in ALLOY.blocks:
            assert {target.name for target in block.values.get("forward_to", []) if isinstance(target, Name)} <= there
        reached = {target.name for block in ALLOY.blocks for target in block.values.get("forward_to", [])}
        assert {f"loki.process.{label}.receiver" for label in self.PROCESSES} <= reached

    def test_streams_have_three_labels(self) -> None:
        assert set(self.PROCESSES["lines"].all("stage.label_keep")[0].values["values"]) == STREAM_LABELS

    @pytest.mark.parametrize("label", PROCESSES)
    def test_reads_fields_that_each_event_has(self, label: str) -> None:
        read = {name for stage in self.PROCESSES[label].all("stage.json") for name in stage.values["expressions"]}
        for event in self.events_of(self.PROCESSES[label]):
            assert read <= fields_of(event), event

    def test_metrics_are_those_of_vector(self) -> None:
        found = []
        for process in self.PROCESSES.values():
            kept = process.all("stage.label_keep")
            added = {name for stage in process.all("stage.labels") for name in stage.values["values"]}
            labels = frozenset(kept[0].values["values"] if kept else STREAM_LABELS | added)
            for kind in ("counter", "gauge"):
                blocks = [block.values for block in process.all(f"metric.{kind}")]
                found += [Metric(one["prefix"] + one["name"], kind, labels) for one in blocks]
        assert {name: count for name, count in Counter(one.name for one in found).items() if count > 1} == {}
        assert set(found) == METRICS

    def test_gauges_end_with_what_they_measure(self) -> None:
        """A gauge that stays shows a weight that is no longer in force, and a worker that is gone."""
        ends_s = VECTOR["sinks"]["prometheus"]["flush_period_secs"]
        kept = [block.values["max_idle_duration"] for block in ALLOY.all("metric.gauge")]
        assert {*kept} == {f"{ends_s // 60}m"}
        assert ends_s >= 3 * Settings.model_fields["stats_interval_s"].default

    def test_each_metric_reads_what_was_taken_out(self) -> None:
        for process in self.PROCESSES.values():
            taken = {name for stage in process.all("stage.json") for name in stage.values["expressions"]}
            taken |= {stage.values["source"] for stage in process.all("stage.template")}
            blocks = process.all("metric.counter") + process.all("metric.gauge")
            assert {block.values["source"] for block in blocks if "match_all" not in block.values} <= taken


@pytest.mark.parametrize("text", ["a {", "a = ", "a = 1\na = 2", "a = [1", "a = 'b'", "}"])
def test_what_is_not_the_language_of_alloy_is_refused(text: str) -> None:
    with pytest.raises(SyntaxError):
        parse_alloy(text)
