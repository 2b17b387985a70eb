"""What `schema` does: the wire contract and log events as JSON Schema."""

from worker.cli.printing import print_json
from worker.core.wording import did_you_mean
from worker.errors import SettingsError
from worker.models.schema import PARTS, schema_of


def print_schema(part: str | None) -> None:
    """Print the schema of a part of the contract, or of all of it.

    Args:
        part: One of `PARTS`; None: all.

    Raises:
        SettingsError: There is no such part.
    """
    if part is not None and part not in PARTS:
        near = did_you_mean(part, PARTS)
        raise SettingsError(
            f"there is no schema of {part!r}; accepted: {', '.join(PARTS)}, or nothing for all of them{near}"
        )
    print_json(schema_of(part), indent=2)
