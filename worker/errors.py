"""Every exception of the project, sorted by who must act, and the exit status of a command that one of them ends.

The status says whether the same command may succeed later without anybody's help. 3: a server could not be reached, it
may. 2: the words, a file or the settings have to change first; a refused login is one of these. 1: everything else.
"""

from typing import ClassVar


class SamplingError(Exception):
    """Be the root of all that this project raises on purpose.

    Attributes:
        exit_status: How a command ends because of it.
    """

    exit_status: ClassVar[int] = 1


class RequestError(SamplingError):
    """Say that the caller must act: an error result is written and the request acknowledged.

    Attributes:
        code: One of `worker.core.wire.ERROR_CODES`.
        message: One sentence that says what was wrong and what is accepted.
    """

    exit_status = 2

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

    exit_status = 2


class StaleError(SamplingError):
    """Say that weights are not those any more that a change of them was decided on: look again."""


class ManifestError(SamplingError):
    """Say that a manifest cannot be imported.

    Attributes:
        sentences: What is wrong, line by line.
    """

    exit_status = 2

    def __init__(self, *sentences: str) -> None:
        super().__init__("; ".join(sentences))
        self.sentences = sentences


class OutputError(SamplingError):
    """Say that what a command has to tell cannot be written: a full disk, a closed stream."""


class ReaderGoneError(OutputError):
    """Say that whoever read the output has closed it: there is nobody left to tell."""


class CheckError(SamplingError):
    """Say that an installation failed its acceptance test: the sentence says how."""


class LoopEndedError(SamplingError):
    """Say that a loop ended though nobody had told it to: a bug of ours, and the loop is begun anew."""


class NotTestedError(CheckError):
    """Say that an acceptance test could not be carried out: it says nothing about the distribution."""


class DependencyError(SamplingError):
    """Say that the surroundings must act: nothing is acknowledged, back off, stay up."""


class UnreachableError(DependencyError):
    """Say that a server could not be reached, did not answer in time, or takes nobody for now.

    Attributes:
        reason: Why, in a few words, without the name of what was being done.
    """

    exit_status = 3

    def __init__(self, sentence: str, reason: str = "") -> None:
        super().__init__(sentence)
        self.reason = reason or sentence


class LoginError(DependencyError):
    """Say that a server refused who we say we are, or the database that we ask for: the URL has to change."""

    exit_status = 2


class RedisError(DependencyError):
    """Say that Redis could not be reached or refused a command."""


class RedisUnreachableError(RedisError, UnreachableError):
    """Say that Redis could not be reached."""


class RefusedError(RedisError):
    """Say that Redis refuses a command, and will refuse it again: a password, a right, the type of a key."""


class RedisLoginError(RefusedError, LoginError):
    """Say that Redis refused the login."""


class UnreadableError(RefusedError):
    """Say that what stands in Redis cannot be read for what it should be: the sentence names it, and how to mend it."""


class GroupMissingError(RedisError):
    """Say that the consumer group or its stream is gone and has to be made again."""


class PostgresError(DependencyError):
    """Say that PostgreSQL could not be reached or refused a statement."""


class PostgresUnreachableError(PostgresError, UnreachableError):
    """Say that PostgreSQL could not be reached."""


class PostgresLoginError(PostgresError, LoginError):
    """Say that PostgreSQL refused the login."""


class SettingsError(SamplingError):
    """Say that the operator must act: the start ends with exit status 2."""

    exit_status = 2
