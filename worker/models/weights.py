"""Weights by category."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, model_validator

from worker.core.keys import CATEGORY_PATTERN
from worker.core.weights.values import (
    DEFAULTS,
    MAX_CATEGORIES,
    Weights,
    check_values,
    default_weights,
    normalise,
    read_values,
)
from worker.errors import WeightsError
from worker.models.strict import Model, refused

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class CategoryWeights(Model):
    """How much of each category a training should hear.

    Weights are finite numbers >= 0; they need not sum to 1. A category that is not given weighs 0. Any other category
    name (`[a-z0-9_-]`, 1 to 64 characters) works like those that are built in. Without any category these are the
    defaults, as they are for a worker while nobody has set weights.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "propertyNames": {"pattern": f"^{CATEGORY_PATTERN.pattern}$"},
            "maxProperties": MAX_CATEGORIES,
        }
    )

    __pydantic_extra__: dict[str, Weight] = Field(init=False)

    voice: Weight = 0.0
    music: Weight = 0.0
    documentary: Weight = 0.0
    conference: Weight = 0.0
    custom: Weight = 0.0

    @model_validator(mode="before")
    @classmethod
    def _check(cls, given: Any) -> Any:
        if isinstance(given, CategoryWeights):
            return given
        if not isinstance(given, Mapping):
            raise refused('these are no weights; accepted: an object, such as {"voice": 0.7, "music": 0.2}')
        try:
            return check_values(list(given.items())) or dict(DEFAULTS)
        except WeightsError as error:
            raise refused(str(error)) from None

    @classmethod
    def read_text(cls, raw: bytes) -> Any:
        """Read JSON as workers read what a weights key holds.

        Raises:
            ValueError: It is not accepted.
        """
        try:
            return read_values(raw)
        except WeightsError as error:
            raise ValueError(str(error)) from None

    @classmethod
    def default(cls) -> Self:
        """Return the defaults: the weights in force while nobody has set any."""
        return cls.model_validate(DEFAULTS)

    @property
    def shares(self) -> dict[str, float]:
        """Return the weights in force: category -> share, each > 0, summing to 1. All zero means the defaults."""
        return dict(self._weights.shares)

    @property
    def version(self) -> str:
        """Return their version, the `weights_version` of results that are drawn under them."""
        return self._weights.version

    def normalised(self) -> Self:
        """Return the weights in force, summing to 1."""
        return self.model_validate(self.shares)

    @property
    def _weights(self) -> Weights:
        return normalise(self.model_dump(), "redis") or default_weights()
