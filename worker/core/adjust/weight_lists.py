"""Weight lists of other tools, as far as they have one number a source.

- any tool: an object of names and numbers
- Olmix, proposed: a list of `{"domain": "dclm:science", "weight": 0.2}`
- Olmix, launched: `mix:` names with `weight` and `repetition_factor`, flat or nested; nested weights are multiplied
- RegMix: `train:` names and numbers, each name with `train_` before it
- Energon: `splits:`, `train:`, `blend:` (or `datasets:`) a list of `path` and `weight` (1 if there is none)
- NeMo, Lhotse: `input_cfg:` a list of items with `weight`, and groups of such, whose items share its weight

Sources, read August 2026: allenai/olmix, README.md ("Output") and plans/023_explicit_mix_field.md; sail-sg/regmix,
mixture_config/config_1b; Megatron-Energon's documentation, "Metadataset"; NVIDIA/NeMo,
nemo/collections/common/data/lhotse/cutset.py, `read_dataset_config`.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeGuard

from worker.core.adjust.values import shown
from worker.core.weights.values import check_weight
from worker.errors import WeightsError

SHAPES: Final = ("Olmix", "RegMix", "Energon", "NeMo and Lhotse (input_cfg)")
DEEPEST: Final = 32
"""Most levels of a document, one in the other."""

_WEIGHT, _INPUT_CFG, _MIX, _BLEND = "weight", "input_cfg", "mix", "blend"
_FACTOR: Final = "repetition_factor"
_PAIR: Final = 2  # of a weight and a repetition factor
_REGMIX_MARK: Final = "train_"
_NAME_KEYS: Final = ("category", "domain", "corpus", "name", "source")
"""What says which source an item of a list is, in the item or in its `tags`; the first that is there."""
_PATH_KEYS: Final = (
    "path",
    "shar_path",
    "cuts_path",
    "manifest_filepath",
    "tarred_audio_filepath",
    "tarred_audio_filepaths",
)
"""What says it where no name does."""


class Source(NamedTuple):
    """A source of a mix.

    Attributes:
        label: Its name in the document.
        weight: What it weighs, finite and >= 0.
        others: Other names that it may have in the library, the likeliest first.
    """

    label: str
    weight: float
    others: Sequence[str] = ()


def read_sources(document: object) -> list[Source] | None:
    """Read the weight list of another tool.

    Args:
        document: What JSON or YAML holds.

    Returns:
        Its sources; None if it has none of these shapes.

    Raises:
        WeightsError: It has one of these shapes, and something in it is wrong.
    """
    if isinstance(document, Mapping):
        return _read_object(document)
    if not _is_list(document) or not all(isinstance(one, Mapping) for one in document):
        return None
    return list(_read_items(document) if any("type" in one for one in document) else _read_blend(document))


def plain_sources(values: Mapping[str, object]) -> list[Source]:
    """Read an object of names and numbers.

    Raises:
        WeightsError: It is not.
    """
    if not values:
        raise WeightsError("no weights are given; accepted: names and finite numbers >= 0")
    return [Source(str(name), check_weight(shown(name), value)) for name, value in values.items()]


def _read_object(document: Mapping[str, Any]) -> list[Source] | None:
    """Read a document that is an object, by the first part that tells which tool wrote it."""
    if document and all(_is_number(value) for value in document.values()):
        return plain_sources(document)
    if isinstance(found := document.get(_MIX), Mapping):
        return list(_read_mix(found))
    if isinstance(found := document.get("splits"), Mapping):
        return _read_splits(found)
    for holder in (document, document.get("train_ds"), _inner(document.get("model"), "train_ds")):
        if isinstance(holder, Mapping) and _is_list(holder.get(_INPUT_CFG)):
            return list(_read_input_cfg(holder))
    if isinstance(found := document.get("train"), Mapping):
        return [source._replace(others=(source.label.removeprefix(_REGMIX_MARK),)) for source in plain_sources(found)]
    return None


def _read_mix(nodes: Mapping[str, Any], path: str = "", share: float = 1.0, depth: int = 1) -> Iterator[Source]:
    """Read Olmix's `mix`: each node has a weight and a repetition factor, a pair of both, or nodes of its own."""
    _check_depth(depth)
    for name, node in nodes.items():
        label = f"{path}{name}"
        is_pair = _is_list(node) and len(node) == _PAIR
        weight = node[0] if is_pair else node.get(_WEIGHT, 1.0) if isinstance(node, Mapping) else node
        own = share * check_weight(shown(label), weight)
        below = node if isinstance(node, Mapping) else {}
        below = {key: one for key, one in below.items() if key not in {_WEIGHT, _FACTOR}}
        if below:
            yield from _read_mix(below, f"{label}:", own, depth + 1)
        else:
            yield Source(label, own)


def _read_splits(splits: Mapping[str, Any]) -> list[Source]:
    """Read what Energon's split `train` blends."""
    train = splits.get("train")
    if not isinstance(train, Mapping):
        raise WeightsError("splits has no train; accepted: splits, train, blend")
    for key in (_BLEND, "datasets"):
        if _is_list(train.get(key)):
            return list(_read_blend(train[key]))
    if "blend_epochized" in train:
        raise WeightsError("blend_epochized has repetitions, and no weights; accepted: blend, with weight and path")
    if "path" in train:
        return list(_read_blend([train]))
    raise WeightsError("the split train has no blend; accepted: splits, train, blend, with weight and path")


def _read_blend(items: Sequence[object]) -> Iterator[Source]:
    """Read a list of items with a name and a weight; one without a weight weighs 1."""
    for number, item in enumerate(items, 1):
        label = _label(item, number)
        yield _listed(label, check_weight(shown(label), _inner(item, _WEIGHT, 1.0)))


def _read_input_cfg(holder: Mapping[str, Any]) -> Iterator[Source]:
    """Read NeMo's `input_cfg`."""
    if holder.get("reweight_temperature") is not None:
        wanted = "input_cfg without it, with weights that are raised to that power"
        raise WeightsError(f"reweight_temperature is not read; accepted: {wanted}")
    return _read_items(holder[_INPUT_CFG])


def _read_items(items: Sequence[Any], share: float = 1.0, depth: int = 1) -> Iterator[Source]:
    """Read a list of items and groups, which share out a weight in proportion to what they weigh."""
    _check_depth(depth)
    if not items or not all(isinstance(item, Mapping) for item in items):
        raise WeightsError(f"{_INPUT_CFG} is not a list of objects; accepted: items with type, weight and a path")
    given = [item.get(_WEIGHT) for item in items]
    if None in given and any(weight is not None for weight in given):
        raise WeightsError(f"some items of {_INPUT_CFG} have a weight, and others none; accepted: all or none")
    weights = [1.0 if one is None else check_weight(f"item {place}", one) for place, one in enumerate(given, 1)]
    heaviest = max(weights) or 1.0
    total = math.fsum(weight / heaviest for weight in weights) or 1.0
    for number, (item, weight) in enumerate(zip(items, weights, strict=True), 1):
        own = share * (weight / heaviest / total)
        if _is_list(item.get(_INPUT_CFG)):
            yield from _read_items(item[_INPUT_CFG], own, depth + 1)
        else:
            yield _listed(_label(item, number), own)


def _listed(label: str, weight: float) -> Source:
    """Make a source of an item: a path may be called as its last part, without its ending, or as the folder is."""
    *above, last = label.rstrip("/").split("/")
    return Source(label, weight, (last, last.partition(".")[0], *above[-1:]))


def _label(item: object, number: int) -> str:
    """Find which source an item of a list is."""
    tags = _inner(item, "tags")
    places = [(holder, key) for holder in (item, tags) for key in _NAME_KEYS] + [(item, key) for key in _PATH_KEYS]
    for holder, key in places:
        name = _inner(holder, key)
        if isinstance(name, str) and name:
            return name
    wanted = ", ".join((*_NAME_KEYS, *_PATH_KEYS))
    raise WeightsError(f"item {number} does not say which source it is; accepted: one of {wanted}")


def _inner(value: object, key: str, default: object = None) -> Any:
    return value.get(key, default) if isinstance(value, Mapping) else default


def _is_list(value: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_depth(depth: int) -> None:
    if depth > DEEPEST:
        raise WeightsError(f"it is nested deeper than {DEEPEST} levels; accepted: at most that")
