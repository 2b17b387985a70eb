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


class SampleError(SamplingError):
    """Say that a request got an error result; asking again asks the worker again.

    Attributes:
        code: One of `worker.core.wire.ERROR_CODES`.
        request_id: Which request.
    """

    def __init__(self, code: str, message: str, request_id: str) -> None:
        super().__init__(code, message, request_id)
        self.code = code
        self.message = message
        self.request_id = request_id

    def __str__(self) -> str:
        """Tell what was wrong, and which request."""
        return f"{self.code}: {self.message} (request {self.request_id})"


class SampleTimeoutError(SamplingError, TimeoutError):
    """Say that a result did not come in time; asking again for the same request waits for the same result."""


class LeftOutWarning(UserWarning):
    """Say that a training which went on from a state is not given all that had been drawn for it."""


class ClientClosedError(SamplingError):
    """Say that a client was closed before the result came."""


class WeightsError(SamplingError):
    """Say that a weights value is not valid: it is refused, and the last valid weights stay."""


class StaleError(SamplingError):
    """Say that weights are not those any more that a change of them was decided on: look again."""


class ManifestError(SamplingError):
    """Say that a manifest cannot be imported: the sentence names the line."""


class CheckError(SamplingError):
    """Say that an installation failed its acceptance test: the sentence says how."""


class DependencyError(SamplingError):
    """Say that the surroundings must act (a server is away): nothing is acknowledged, back off, stay up."""


class RedisError(DependencyError):
    """Say that Redis could not be reached or refused a command."""


class RefusedError(RedisError):
    """Say that Redis refuses a command, and will refuse it again: a password, a right, the type of a key."""


class GroupMissingError(RedisError):
    """Say that the consumer group or its stream is gone and has to be made again."""


class PostgresError(DependencyError):
    """Say that PostgreSQL could not be reached or refused a statement."""


class SettingsError(SamplingError):
    """Say that the operator must act: the start ends with exit status 2."""
