"""YAML that anybody may have written, by PyYAML's safe loader. Only this module imports it, the extra `yaml`.

A document holds objects, lists, texts, numbers, truth values and nulls, as JSON does. Tags are refused: they make
objects of other types. Aliases are refused: a few of them, one in the other, stand for a document of any size. Depth is
bounded, and a name that comes twice is refused. Names are taken as they are written: by YAML 1.1 the language code `no`
would be false. Numbers are decimal: by YAML 1.1 `1:30` would be 90, and 1e-3 a text. A date is a text.
"""

import re
from collections.abc import Hashable
from typing import Any, Final

import yaml

from worker.core.adjust.values import shown
from worker.core.adjust.weight_lists import DEEPEST
from worker.errors import WeightsError

_WORDS: Final = {"tag:yaml.org,2002:null", "tag:yaml.org,2002:bool"}
_INT: Final = re.compile(r"[-+]?(?:0|[1-9][0-9_]*)\Z")
_FLOAT: Final = re.compile(
    r"""(?:[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?
    |[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z""",
    re.VERBOSE,
)


def read_yaml(name: str, text: str) -> object:
    """Read one document.

    Args:
        name: What it is called in sentences.
        text: The document.

    Raises:
        WeightsError: It is no such YAML. The sentence says why.
    """
    try:
        return _Loader(text).get_single_data()
    except (yaml.YAMLError, ValueError) as error:
        raise WeightsError(f"{name} is not YAML ({_reason(error)}); accepted: one document of YAML, or JSON") from None


class _Loader(yaml.SafeLoader):
    """A safe loader without aliases and tags, whose objects have each name once, as it is written."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise WeightsError("an alias (*name) is not accepted; accepted: YAML that spells everything out")
        tag: str | None = self.peek_event().tag  # type: ignore[no-untyped-call]
        if tag is not None:
            raise WeightsError(f"a tag ({shown(tag)}) is not accepted; accepted: YAML without tags")
        self._depth += 1
        if self._depth > DEEPEST:
            raise WeightsError(f"it is nested deeper than {DEEPEST} levels; accepted: at most that")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - PyYAML's
        found: dict[Hashable, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise WeightsError("a name is a list or an object; accepted: names that are texts")
            if key.value in found:
                raise WeightsError(f"{shown(key.value)} is given twice; accepted: each name once")
            found[key.value] = self.construct_object(value, deep=deep)
        return found


_Loader.yaml_implicit_resolvers = {
    first: [one for one in resolvers if one[0] in _WORDS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", _INT, list("-+0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))


def _reason(error: Exception) -> str:
    """Write why in a few words, and where."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    where = f", line {mark.line + 1}" if mark is not None else ""
    return f"{problem or str(error).splitlines()[0]}{where}"
