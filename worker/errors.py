"""Every exception of the project, sorted by who must act."""


class SamplingError(Exception):
    """Be the root of all that this project raises on purpose."""


class RequestError(SamplingError):
    """Say that the caller must act: an error result is written and the request acknowledged.

    Attributes:
        code: One of `worker.core.wire.ERROR_CODES`.
        message: One sentence that says what was wrong and what is accepted.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class WeightsError(SamplingError):
    """Say that a weights value is not valid: it is refused, and the last valid weights stay."""


class ManifestError(SamplingError):
    """Say that a manifest cannot be imported: the sentence names the line."""


class CheckError(SamplingError):
    """Say that an installation failed its acceptance test: the sentence says how."""


class DependencyError(SamplingError):
    """Say that the surroundings must act (a server is away): nothing is acknowledged, back off, stay up."""


class RedisError(DependencyError):
    """Say that Redis could not be reached or refused a command."""


class GroupMissingError(RedisError):
    """Say that the consumer group or its stream is gone and has to be made again."""


class PostgresError(DependencyError):
    """Say that PostgreSQL could not be reached or refused a statement."""


class SettingsError(SamplingError):
    """Say that the operator must act: the start ends with exit status 2."""
