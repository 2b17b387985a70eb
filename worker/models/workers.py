"""What a live worker publishes of itself."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from worker.core.workers.state_document import wrong_field
from worker.models.strict import Amount, Model, Share, Whole, refused


class WorkerState(Model):
    """The state that a live worker writes to its key, a JSON object; an older worker leaves fields out."""

    consumer: str = Field(description="Its name.")
    host: str | None = Field(default=None, description="Where it runs.")
    pid: Whole | None = Field(default=None, description="Its process.")
    instance: str | None = Field(default=None, description="It differs for each process.")
    state: str | None = Field(default=None, description="starting, serving, waiting or draining.")
    version: str | None = Field(default=None, description="Its release.")
    wire_version: Whole = Field(default=1, description="Version of what workers write for each other.")
    shared_with: str | None = Field(default=None, description="Host and pid of another live worker of this name.")
    weight_unit: str = Field(default="chunks", description="What weights are shares of: chunks or seconds.")
    weights_version: str | None = Field(default=None, description="Version of the global weights in force.")
    source: str | None = Field(default=None, description="Where these come from.")
    weights_at_ms: Whole = Field(default=0, description="When they came into force, Unix time in ms; 0: at the start.")
    datasets: dict[str, str] = Field(default={}, description="Dataset or preset -> version by its own key.")
    datasets_more: dict[str, str] = Field(default={}, description="The same of further names, by their CRC-32 in hex.")
    kept: dict[str, dict[str, Share]] = Field(
        default={}, description="Dataset with a refused value -> the last valid one."
    )
    catalog_version: str | None = Field(default=None, description="Version of its catalog; null before the first.")
    catalog_at_ms: Whole = Field(default=0, description="When that came into force, Unix time in ms.")
    chunks: Whole = Field(default=0, description="READY chunks in it.")
    id_kind: str | None = Field(default=None, description="Kind of their ids: number or uuid; null without chunks.")
    categories: Whole = Field(default=0, description="How many categories have READY chunks.")
    ready: dict[str, Whole] | None = Field(default=None, description="Category -> READY chunks, of the largest.")
    requests: Whole = Field(default=0, description="Requests answered since the start.")
    requests_per_s: Amount | None = Field(default=None, description="Requests answered a second, in the last 5 s.")
    latency_p50_ms: Amount | None = Field(default=None, description="Half of them took at most so long; null: none.")
    latency_p99_ms: Amount | None = Field(default=None, description="The same of 99 in 100.")
    latency_max_ms: Amount | None = Field(default=None, description="The longest of them.")
    loop_lag_ms: Amount | None = Field(default=None, description="Largest delay of the event loop in about 5 s.")
    memory_bytes: Amount | None = Field(default=None, description="Its resident memory; null where it is not known.")
    events: list[dict[str, Any]] = Field(default=[], description="The last notable events: at_ms, level, event, text.")
    at_ms: Whole = Field(default=0, description="When this was written, Unix time in ms.")

    @model_validator(mode="before")
    @classmethod
    def _check(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and (wrong := wrong_field(given)) is not None:
            raise refused(f"{wrong} is of another kind; accepted: what PROTOCOL.md says of it")
        return given
