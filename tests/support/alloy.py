"""Read Alloy's configuration language, as far as our file uses it: blocks, attributes, and values.

Source: grafana/alloy, `docs/sources/get-started/configuration-syntax`.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

_TOKEN = re.compile(
    r'(?P<skip>\s+|//[^\n]*)|(?P<text>"(?:[^"\\\n]|\\.)*")|(?P<number>\d+)|(?P<name>[A-Za-z_][\w.]*)|(?P<sign>[{}()\[\],=+])'
)


@dataclass(frozen=True, slots=True)
class Name:
    """A reference, such as `loki.write.loki.receiver`."""

    name: str


@dataclass(frozen=True, slots=True)
class Block:
    """A block: its attributes, and the blocks in it, in order."""

    kind: str
    label: str
    values: dict[str, Any] = field(default_factory=dict)
    blocks: list["Block"] = field(default_factory=list)

    def all(self, kind: str) -> list["Block"]:
        """Return the blocks of a kind, those in blocks included."""
        found = [self] if self.kind == kind else []
        return found + [inner for block in self.blocks for inner in block.all(kind)]


def parse_alloy(text: str) -> Block:
    """Return the file as a block without a name.

    Raises:
        SyntaxError: It is not what the language accepts.
    """
    return _Reader(list(_tokens(text))).body(Block("", ""), end="")


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            line = text.count("\n", 0, position) + 1
            raise SyntaxError(f"line {line}: {text[position : position + 20]!r}")
        position = match.end()
        if match.lastgroup != "skip":
            yield match.lastgroup, match.group()
    yield "end", ""


class _Reader:
    """A recursive descent over the tokens."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0

    def body(self, block: Block, *, end: str) -> Block:
        """Read what a block holds, up to its end."""
        while not self._takes(end):
            name = self._take("name")
            if self._takes("="):
                if name in block.values:
                    raise SyntaxError(f"{name} stands twice in {block.kind} {block.label}")
                block.values[name] = self._value()
                continue
            label = json.loads(self._take("text")) if self._kind() == "text" else ""
            self._take("sign", "{")
            block.blocks.append(self.body(Block(name, label), end="}"))
        return block

    def _value(self) -> Any:
        """Read a value; a sum is a list of its terms, a call a list of its function and arguments."""
        value = self._term()
        while self._takes("+"):
            value = [value, self._term()]
        return value

    def _term(self) -> Any:
        if self._takes("["):
            return self._list("]")
        if self._takes("{"):
            return self._object()
        if self._kind() == "name":
            name = Name(self._take("name"))
            return [name, *self._list(")")] if self._takes("(") else name
        return json.loads(self._take(self._kind() if self._kind() == "number" else "text"))

    def _list(self, end: str) -> list[Any]:
        found = []
        while not self._takes(end):
            found.append(self._value())
            if not self._takes(","):
                self._take("sign", end)
                break
        return found

    def _object(self) -> dict[str, Any]:
        found = {}
        while not self._takes("}"):
            key = self._take("name") if self._kind() == "name" else json.loads(self._take("text"))
            self._take("sign", "=")
            found[key] = self._value()
            if not self._takes(","):
                self._take("sign", "}")
                break
        return found

    def _kind(self) -> str:
        return self._tokens[self._at][0]

    def _takes(self, token: str) -> bool:
        """Check whether this token comes next, and take it if so."""
        is_next = self._tokens[self._at] == ("sign" if token else "end", token)
        self._at += is_next
        return is_next

    def _take(self, kind: str, token: str | None = None) -> str:
        """Take the next token, which has to be of this kind."""
        found = self._tokens[self._at]
        if found[0] != kind or token not in {None, found[1]}:
            raise SyntaxError(f"{token or kind} is missing before {found[1]!r}")
        self._at += 1
        return found[1]
