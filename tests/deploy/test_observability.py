"""Dashboard and alerts of `deploy/observability/`: every query parses, and reads what events and metrics have."""

import json
import re
import shlex
from itertools import combinations
from typing import Any

import click
import promql_parser
import pytest
import yaml

from tests.support.logql import Query, parse_logql, template_fields
from tests.support.observability import IN_EVERY_LINE, METRICS, OBSERVABILITY, PREFIX, STREAM_LABELS, fields_of
from worker.cli.commands import app
from worker.core.events import EVENTS
from worker.settings.model import Settings

README = (OBSERVABILITY / "README.md").read_text(encoding="utf-8")
DASHBOARD = json.loads((OBSERVABILITY / "dashboard.json").read_text(encoding="utf-8"))
RULES = [
    rule for group in yaml.safe_load((OBSERVABILITY / "alerts.yaml").read_text())["groups"] for rule in group["rules"]
]
SOURCES = ("loki", "prometheus")
LEVELS = {"debug", "info", "warning", "error", "unknown"}


def targets(kind: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the queries of the dashboard that go to one kind of data source, each with its panel's title."""
    return [
        (panel["title"], target)
        for panel in DASHBOARD["panels"]
        for target in panel.get("targets", ())
        if target["datasource"]["type"] == kind
    ]


def filled(expression: str) -> str:
    """Put values where Grafana does."""
    values = {
        "$__rate_interval": "1m",
        "$__auto": "1m",
        "${unit}": "chunks",
        "$dataset": ".*",
        "$app": "sampling-worker",
    }
    for name, value in values.items():
        expression = expression.replace(name, value)
    assert "$" not in expression
    return expression


MARKS = DASHBOARD["annotations"]["list"][1:]
LOGQL = {
    **{f"alert {rule['alert']}": rule["expr"] for rule in RULES},
    **{f"panel {title}": filled(target["expr"]) for title, target in targets("loki")},
    **{f"mark {mark['name']}": filled(mark["expr"]) for mark in MARKS},
}


WRONG = [
    'count_over_time({event="worker.stats"}[5m]',
    '{event="worker.status"}',
    'sum by (lagg) (count_over_time({event="worker.stats"} | json lagg [5m]))',
    '{event="weights.changed"} | json | line_format `{{ .whom }}`',
]


@pytest.fixture(scope="module")
def queries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Query]:
    """Parse every LogQL expression once, and some that are wrong."""
    texts = LOGQL | {text: text for text in WRONG}
    return dict(zip(texts, parse_logql([*texts.values()], tmp_path_factory.mktemp("logql")), strict=True))


def strangers(query: Query) -> set[str]:
    """Return what a query reads and no line has."""
    found = set()
    known = STREAM_LABELS | IN_EVERY_LINE
    for pipeline in query.pipelines:
        events = pipeline.labels.get("event", set(EVENTS))
        found |= {event for event in events if not fields_of(event)}
        found |= {name for name in pipeline.fields for event in events if name not in fields_of(event)}
        found |= {name for name in pipeline.shown if not any(name in fields_of(event) for event in events)}
        found |= pipeline.labels.get("level", set()) - LEVELS | pipeline.labels.keys() - STREAM_LABELS
        known |= pipeline.fields
    return found | query.grouped - known


@pytest.mark.needs("npm", "node")
class TestLogQL:
    def test_every_expression_parses(self, queries: dict[str, Query]) -> None:
        assert [name for name, query in queries.items() if query.errors] == WRONG[:1]

    def test_every_event_and_field_is_in_the_catalogue(self, queries: dict[str, Query]) -> None:
        found = {name: strangers(query) for name, query in queries.items() if strangers(query)}
        assert found == dict(zip(WRONG[1:], [{"worker.status"}, {"lagg"}, {"whom"}], strict=True))

    def test_every_error_is_alerted(self, queries: dict[str, Query]) -> None:
        alerted = {
            event
            for rule in RULES
            for pipeline in queries[f"alert {rule['alert']}"].pipelines
            for event in pipeline.labels["event"]
        }
        assert {name for name, kind in EVENTS.items() if kind.level == "error"} <= alerted

    def test_texts_of_alerts_show_labels_that_their_query_keeps(self, queries: dict[str, Query]) -> None:
        for rule in RULES:
            shown = set(re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])))
            assert shown <= queries[f"alert {rule['alert']}"].grouped, rule["alert"]

    def test_marks_show_fields_of_their_events(self, queries: dict[str, Query]) -> None:
        for mark in MARKS:
            (pipeline,) = queries[f"mark {mark['name']}"].pipelines
            shown = template_fields(mark["titleFormat"] + mark["textFormat"]) | set(mark["tagKeys"].split(","))
            assert shown - pipeline.made <= set.intersection(*map(fields_of, pipeline.labels["event"])), mark["name"]
        (changes,) = queries[f"mark {MARKS[0]['name']}"].pipelines
        assert {"who", "reason", "before"} <= changes.shown

    def test_legends_show_labels_that_their_query_keeps(self, queries: dict[str, Query]) -> None:
        for title, target in targets("loki"):
            assert template_fields(target.get("legendFormat", "")) <= queries[f"panel {title}"].grouped, title


class TestPromQL:
    @pytest.mark.parametrize(("title", "target"), targets("prometheus"), ids=lambda one: str(one)[:20])
    def test_reads_metrics_and_labels_that_are_made(self, title: str, target: dict[str, Any]) -> None:
        read: set[str] = set()
        labels = template_fields(target["legendFormat"])

        def visit(node: Any) -> None:
            if isinstance(node, promql_parser.VectorSelector):
                read.add(str(node.name))
                labels.update(matcher.name for matcher in node.matchers.matchers)
            modifier = getattr(node, "modifier", None)
            if isinstance(node, promql_parser.AggregateExpr) and modifier:
                labels.update(modifier.labels)

        promql_parser.walk(promql_parser.parse(filled(target["expr"])), visit)
        made = {one.name: one.labels for one in METRICS}
        assert read
        assert read <= made.keys(), title
        assert labels <= set.intersection(*(set(made[name]) for name in read)), title

    def test_every_metric_is_looked_at(self) -> None:
        """A metric that no panel shows is for nobody; those of Loki's side are shown from lines."""
        text = " ".join(
            target["expr"].replace("${unit}", unit) for _, target in targets("prometheus") for unit in UNITS
        )
        assert {one.name for one in METRICS if one.name not in text} == {
            PREFIX + name for name in ("events_total", "versions_info", "category_share", "log_lines_dropped")
        }


VARIABLES = {one["name"]: one for one in DASHBOARD["templating"]["list"]}
UNITS = [option["value"] for option in VARIABLES["unit"]["options"]]


class TestDashboard:
    PANELS = DASHBOARD["panels"]

    def test_answers_the_questions_in_order(self) -> None:
        assert [panel["title"] for panel in self.PANELS if panel["type"] == "row"] == [
            "Is the mix right?",
            "Since when, and who changed it?",
            "Has everybody got it?",
            "Is it fast?",
            "Is it behind?",
            "What broke?",
        ]

    def test_panels_are_told_apart_described_and_beside_each_other(self) -> None:
        assert len({panel["id"] for panel in self.PANELS}) == len(self.PANELS)
        assert all(panel.get("description") for panel in self.PANELS if panel["type"] != "row")
        places = [panel["gridPos"] for panel in self.PANELS]
        assert all(place["x"] + place["w"] <= 24 for place in places)
        for one, other in combinations(places, 2):
            is_beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
            assert is_beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]

    def test_datasets_are_those_of_a_metric_that_is_made(self) -> None:
        metric, label = re.fullmatch(r"label_values\((\w+)\{.*\}, (\w+)\)", VARIABLES["dataset"]["definition"]).groups()  # type: ignore[union-attr]
        assert VARIABLES["dataset"]["query"]["query"] == VARIABLES["dataset"]["definition"]
        assert label in next(one.labels for one in METRICS if one.name == metric)

    def test_libraries_are_those_that_log(self) -> None:
        query = VARIABLES["app"]["query"]
        assert query["label"] in STREAM_LABELS
        assert query["stream"] == '{event="worker.stats"}'

    def test_data_sources_are_chosen_by_whoever_looks(self) -> None:
        parts = [
            *MARKS,
            *VARIABLES.values(),
            *self.PANELS,
            *(target for kind in SOURCES for _, target in targets(kind)),
        ]
        sources = [part["datasource"] for part in parts if "datasource" in part]
        assert sources
        assert all(source["uid"] == f"${{{source['type']}}}" for source in sources)
        assert all(VARIABLES[kind]["type"] == "datasource" for kind in SOURCES)


class TestAlerts:
    def test_each_has_its_answer(self) -> None:
        for rule in RULES:
            assert {"summary", "runbook"} == rule["annotations"].keys()
            assert rule["labels"]["severity"] in {"critical", "warning"}

    def test_the_readme_has_each_in_order(self) -> None:
        assert re.findall(r"(?m)^\| `(Sampling\w+)` \|", README) == [rule["alert"] for rule in RULES]

    def test_the_run_book_has_every_warning_and_error(self) -> None:
        page = (OBSERVABILITY.parent / "README.md").read_text(encoding="utf-8")
        book = page.partition("## Run-book by alert")[2].partition("\n## ")[0]
        urgent = {name for name, kind in EVENTS.items() if kind.level in {"warning", "error"}}
        assert urgent <= set(re.findall(r"`([a-z_]+\.[a-z_]+)`", book))

    def test_answers_name_verbs_that_there_are(self) -> None:
        text = README + (OBSERVABILITY / "alerts.yaml").read_text()
        for command in re.findall(r"`sampling-worker ([^`]*)`", text):
            found: click.Command = app
            for word in shlex.split(command):
                if not isinstance(found, click.Group):
                    break
                assert word in found.commands, command
                found = found.commands[word]

    def test_short_windows_fit_the_interval_of_statistics(self) -> None:
        short = {int(found) for rule in RULES for found in re.findall(r"\[(\d+)s\]", rule["expr"])}
        assert short == {2 * Settings.model_fields["stats_interval_s"].default}
