"""A change of weights."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import ConfigDict, Field

from worker.core.weights.documents import change_document
from worker.core.weights.history import read_change
from worker.models.strict import Model, Share, Whole


class WeightsChange(Model):
    """One change of weights: who made it, when and why; and what came of it, where somebody has waited for that.

    It is what `SampleClient.set_weights` returns. Redis holds changes as entries of the history.
    """

    model_config = ConfigDict(from_attributes=True)

    entry: str = Field(description="Id of its entry in the history.")
    dataset: str | None = Field(description="Whose weights; null: the global ones, or a preset's.")
    preset: str | None = Field(description="Whose weights; null: no preset's.")
    who: str = Field(description="Who made it.")
    reason: str = Field(description="Why.")
    at_ms: Whole = Field(description="When, Unix time in ms by the clock of Redis.")
    version: str | None = Field(description="Version of the weights since then; null: none of its own.")
    version_before: str | None = Field(description="The same, before.")
    before: dict[str, Share] = Field(description="Category -> weight before; empty if there were none of its own.")
    after: dict[str, Share] = Field(description="The same, after.")
    until_ms: Whole | None = Field(default=None, description="When these temporary weights end, Unix time in ms.")
    applied_by: tuple[str, ...] | None = Field(default=None, description="Workers that have applied it, if waited for.")
    missing: tuple[str, ...] = Field(default=(), description="Workers that had not when the wait ended.")
    unasked: tuple[str, ...] = Field(default=(), description="Workers that read it with the next request.")
    waited_ms: float | None = Field(default=None, ge=0, allow_inf_nan=False, description="How long that took.")
    left_out: dict[str, Share] | None = Field(
        default=None, description="Category -> weight of those without READY chunks."
    )
    warnings: tuple[str, ...] = Field(default=(), description="What is not as wanted, in sentences.")

    @classmethod
    def from_fields(cls, entry_id: str, fields: Mapping[Any, str | bytes]) -> Self:
        """Read an entry of the history as Redis returns it.

        Args:
            entry_id: Its id.
            fields: Name -> value, texts or bytes.
        """
        texts = {_text(name): _text(value) for name, value in fields.items()}
        return cls.model_validate(change_document(read_change(entry_id, texts)))


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode(errors="replace")
