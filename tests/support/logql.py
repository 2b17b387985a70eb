"""Read LogQL by the grammar of Grafana itself, which is published for JavaScript alone: npm brings it, Node runs it."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PACKAGES = {"@grafana/lezer-logql": "~0.3.0", "@lezer/lr": "^1.4.0"}
_INSTALL_S = 120
_PROGRAM = """
import {readFileSync} from "node:fs"
import {parser} from "@grafana/lezer-logql"

const read = (node, text) => {
  const inner = []
  for (let child = node.firstChild; child; child = child.nextSibling) inner.push(read(child, text))
  return {name: node.type.isError ? "error" : node.name, text: text.slice(node.from, node.to), inner}
}
const texts = JSON.parse(readFileSync(0, "utf8"))
process.stdout.write(JSON.stringify(texts.map(text => read(parser.parse(text).topNode, text))))
"""
_READING = ("LabelExtractionExpression", "LabelFilter", "UnwrapExpr")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the tree: what it is, its text, and the nodes in it."""

    name: str
    text: str
    inner: tuple["Node", ...]

    def all(self, *names: str) -> Iterator["Node"]:
        """Yield the nodes of these names, outer ones first."""
        if self.name in names:
            yield self
        for node in self.inner:
            yield from node.all(*names)


@dataclass(slots=True)
class Pipeline:
    """One selector with its stages.

    Attributes:
        labels: Values that the selector asks of each label.
        fields: Fields of lines that it takes out by name, filters by, or counts.
        shown: Fields that it puts into a text: those that a line does not have are left empty.
        made: Labels that it makes itself.
    """

    labels: dict[str, set[str]] = field(default_factory=dict)
    fields: set[str] = field(default_factory=set)
    shown: set[str] = field(default_factory=set)
    made: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Query:
    """What one expression reads.

    Attributes:
        errors: Places that the grammar does not accept.
        pipelines: Its selectors, each with its stages.
        grouped: Labels that it groups or matches by.
    """

    errors: list[str]
    pipelines: list[Pipeline]
    grouped: set[str]


def parse_logql(expressions: Sequence[str], folder: Path) -> list[Query]:
    """Return what each expression reads; the grammar is installed into `folder`."""
    (folder / "package.json").write_text(json.dumps({"private": True, "dependencies": PACKAGES}))
    (folder / "read.mjs").write_text(_PROGRAM)
    install = ["install", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error"]
    npm, node = (str(shutil.which(name)) for name in ("npm", "node"))
    subprocess.run([npm, *install], cwd=folder, check=True, timeout=_INSTALL_S)
    given = json.dumps(list(expressions)).encode()
    read = subprocess.run([node, "read.mjs"], cwd=folder, check=True, input=given, capture_output=True)
    return [_query(_node(tree)) for tree in json.loads(read.stdout)]


def template_fields(text: str) -> set[str]:
    """Return the fields that a template shows, those of Go (`{{ .who }}`) and of Grafana (`{{who}}`)."""
    actions = [_QUOTED.sub("", action) for action in re.findall(r"\{\{(.*?)\}\}", text)]
    dotted = {name for action in actions for name in re.findall(r"(?<![\w$])\.(\w+)", action)}
    return dotted | {action.strip() for action in actions if re.fullmatch(r"\s*\w+\s*", action)} - {"else", "end"}


def _node(tree: dict[str, object]) -> Node:
    inner = tree["inner"]
    assert isinstance(inner, list)
    return Node(str(tree["name"]), str(tree["text"]), tuple(_node(one) for one in inner))


def _query(top: Node) -> Query:
    pipelines = [_pipeline(node) for node in top.all("LogRangeExpr", "LogExpr")]
    grouping = [
        node for outer in top.all("Grouping", "GroupingLabels") for node in outer.all("Identifier", "LabelName")
    ]
    return Query([node.text or top.text for node in top.all("error")], pipelines, {node.text for node in grouping})


def _pipeline(node: Node) -> Pipeline:
    found = Pipeline()
    for matcher in (one for selector in node.all("Selector") for one in selector.all("Matcher")):
        name, _, value = matcher.inner
        found.labels[name.text] = set(json.loads(value.text).split("|"))
    stages = [one for part in node.inner if part.name != "Selector" for one in part.all(*_READING)]
    found.made = {made.inner[0].text for made in node.all("LabelFormatMatcher")}
    found.fields = {name.text for stage in stages for name in stage.all("Identifier")} - found.made
    texts = [text for made in node.all("LabelFormatMatcher", "LineFormatExpr") for text in made.all("String")]
    found.shown = {name for text in texts for name in template_fields(text.text)}
    return found
