"""Every exception of the project, by who has to act.

    SamplingError                        exit status 1
    |-- RequestError                     2   the caller: the request is wrong
    |-- SampleError                          the caller: the request got an error result
    |-- SampleTimeoutError                   (also TimeoutError) no result came in time
    |-- ClientClosedError                    the client was closed
    |-- WeightsError                     2   the weights are not valid
    |-- StaleError                           the weights have changed meanwhile
    |-- ManifestError                    2   the manifest cannot be imported
    |-- SettingsError                    2   the operator: a setting is wrong
    |-- OutputError                          the output cannot be written
    |   `-- ReaderGoneError                  nobody reads the output any more
    |-- CheckError                           the installation failed its test
    |   `-- NotTestedError                   the test could not be carried out
    |-- LoopEndedError                       a bug: a loop ended too early
    `-- DependencyError                      a server: nothing is acknowledged, try again later
        |-- UnreachableError             3   no connection, or no answer in time
        |   |-- RedisUnreachableError        (also RedisError)
        |   `-- PostgresUnreachableError     (also PostgresError)
        |-- LoginError                   2   the login was refused
        |   |-- RedisLoginError              (also RefusedError)
        |   `-- PostgresLoginError           (also PostgresError)
        |-- RedisError
        |   |-- RefusedError                 Redis refuses, and will again
        |   |   `-- UnreadableError          a value in Redis cannot be read
        |   `-- GroupMissingError            the consumer group is gone
        `-- PostgresError
    LeftOutWarning                           (UserWarning) drawn samples are gone

A command that one of them ends exits with the status beside it, or else with that of the class above it. The status
says whether the same command may succeed later. 3: yes, once the server is back. 2: only after somebody has changed
the command, a file or the settings. 1: anything else.
"""

from typing import ClassVar


class SamplingError(Exception):
    """The root of all exceptions that this project raises on purpose.

    Attributes:
        exit_status: Exit status of a command that it ends.
    """

    exit_status: ClassVar[int] = 1


class RequestError(SamplingError):
    """A request is wrong: the caller gets an error result, and the request is acknowledged.

    Attributes:
        code: One of `worker.core.wire.ERROR_CODES`.
        message: One sentence: what is wrong, and what is accepted.
    """

    exit_status = 2

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class SampleError(SamplingError):
    """A request got an error result. Asking again sends it to a worker again.

    Attributes:
        code: One of `worker.core.wire.ERROR_CODES`.
        request_id: Id of the request.
    """

    def __init__(self, code: str, message: str, request_id: str) -> None:
        super().__init__(code, message, request_id)
        self.code = code
        self.message = message
        self.request_id = request_id

    def __str__(self) -> str:
        """Return the code, the message and the request id."""
        return f"{self.code}: {self.message} (request {self.request_id})"


class SampleTimeoutError(SamplingError, TimeoutError):
    """A result did not come in time. Asking again with the same request id waits for the same result."""


class LeftOutWarning(UserWarning):
    """A resumed training does not get all samples that had been drawn for it: some are gone from Redis."""


class ClientClosedError(SamplingError):
    """The client was closed before the result came."""


class WeightsError(SamplingError):
    """A weights value is not valid. It is refused, and the last valid weights stay in force."""

    exit_status = 2


class StaleError(SamplingError):
    """The weights changed after they were read: read them again and retry."""


class ManifestError(SamplingError):
    """A manifest cannot be imported.

    Attributes:
        sentences: What is wrong, line by line.
    """

    exit_status = 2

    def __init__(self, *sentences: str) -> None:
        super().__init__("; ".join(sentences))
        self.sentences = sentences


class OutputError(SamplingError):
    """The output of a command cannot be written, for example to a full disk."""


class ReaderGoneError(OutputError):
    """The reader of the output has closed it."""


class CheckError(SamplingError):
    """The installation failed its acceptance test. The message says how."""


class LoopEndedError(SamplingError):
    """A loop ended without having been told to. This is a bug, and the loop is started again."""


class NotTestedError(CheckError):
    """The acceptance test could not be carried out. It says nothing about the distribution."""


class DependencyError(SamplingError):
    """A server failed. The worker acknowledges nothing, backs off and stays up."""


class UnreachableError(DependencyError):
    """A server could not be reached, did not answer in time, or accepts no connections for now.

    Attributes:
        reason: Why, in a few words, without the operation.
    """

    exit_status = 3

    def __init__(self, sentence: str, reason: str = "") -> None:
        super().__init__(sentence)
        self.reason = reason or sentence


class LoginError(DependencyError):
    """A server refused the login, or has no such database. The URL has to change."""

    exit_status = 2


class RedisError(DependencyError):
    """Redis could not be reached, or refused a command."""


class RedisUnreachableError(RedisError, UnreachableError):
    """Redis could not be reached."""


class RefusedError(RedisError):
    """Redis refuses a command and will refuse it again: a wrong password, a missing right, a key of another type."""


class RedisLoginError(RefusedError, LoginError):
    """Redis refused the login."""


class UnreadableError(RefusedError):
    """A value in Redis is not what it should be. The message names the key, and how to repair it."""


class GroupMissingError(RedisError):
    """The consumer group or its stream is gone and has to be created again."""


class PostgresError(DependencyError):
    """PostgreSQL could not be reached, or refused a statement."""


class PostgresUnreachableError(PostgresError, UnreachableError):
    """PostgreSQL could not be reached."""


class PostgresLoginError(PostgresError, LoginError):
    """PostgreSQL refused the login."""


class SettingsError(SamplingError):
    """A setting is missing or wrong. The command ends with exit status 2."""

    exit_status = 2
