"""Every exception of this project, and the exit status of a command that one of them ends.

An exception says who must act:

    SamplingError ............................ 1
     +-- RequestError ........................ 2  the caller of a request
     +-- SampleError ......................... 1  the training job: its request got an error result
     +-- SampleTimeoutError .................. 1  the training job: its result is late; also a TimeoutError
     +-- ClientClosedError ................... 1  the training job: it has closed its client
     +-- WeightsError ........................ 2  whoever set the weights
     +-- AdjustError ......................... 2  whoever set a rule that moves the weights
     +-- StaleError .......................... 1  whoever changes the weights: read them again
     +-- ManifestError ....................... 2  whoever wrote the manifest
     +-- ScanError ........................... 2  whoever scans a folder
     +-- DeskError ........................... 1  whoever asks the desk: a browser or a program
     +-- SettingsError ....................... 2  the operator
     +-- OutputError ......................... 1  whoever runs the command
     |    +-- ReaderGoneError ................ 1
     +-- CheckError .......................... 1  the operator: the installation failed its test
     |    +-- NotTestedError ................. 1
     +-- LoopEndedError ...................... 1  us: it is a bug
     +-- DependencyError ..................... 1  the surroundings
          +-- UnreachableError ............... 3
          +-- LoginError ..................... 2
          +-- RedisError ..................... 1
          |    +-- RedisUnreachableError ..... 3  also an UnreachableError
          |    +-- RefusedError .............. 1
          |    |    +-- RedisLoginError ...... 2  also a LoginError
          |    |    +-- UnreadableError ...... 1
          |    +-- GroupMissingError ......... 1
          +-- PostgresError .................. 1
               +-- PostgresUnreachableError .. 3  also an UnreachableError
               +-- PostgresLoginError ........ 2  also a LoginError
    LeftOutWarning, WeightsWarning, FeedbackWarning  -  a UserWarning of Python

The number is the exit status. It says whether the same command can succeed later without anybody's help. 3: it can,
because a server could not be reached. 2: the arguments, a file or the settings have to change first, as after a refused
login. 1: anything else.
"""

from typing import ClassVar


class SamplingError(Exception):
    """The root of everything that this project raises on purpose.

    Attributes:
        exit_status: Exit status of a command that it ends.
    """

    exit_status: ClassVar[int] = 1


class RequestError(SamplingError):
    """The caller must act: the request gets an error result and is acknowledged.

    Attributes:
        code: One of `worker.core.wire.ERROR_CODES`.
        message: One sentence: what was wrong, and what is accepted.
    """

    exit_status = 2

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class SampleError(SamplingError):
    """A request got an error result. Asking again asks the worker again.

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
        """Return what was wrong, and with which request."""
        return f"{self.code}: {self.message} (request {self.request_id})"


class SampleTimeoutError(SamplingError, TimeoutError):
    """A result did not come in time. Asking again for the same request waits for the same result."""


class LeftOutWarning(UserWarning):
    """A training that was resumed does not get all samples that had been drawn for it."""


class WeightsWarning(UserWarning):
    """Weights were stored, but not all of it will be heard as given, or not yet everywhere. The sentence says what."""


class FeedbackWarning(UserWarning):
    """Losses were not reported: they are no finite numbers, or Redis did not store them. The training goes on."""


class ClientClosedError(SamplingError):
    """The client was closed before the result came."""


class WeightsError(SamplingError):
    """A weights value is not valid. It is refused, and the last valid weights stay in force."""

    exit_status = 2


class AdjustError(SamplingError):
    """The settings of a rule that moves the weights are not valid, or no such rule is set. The sentence says why."""

    exit_status = 2


class StaleError(SamplingError):
    """The weights changed after they were read: read them again and retry."""


class ManifestError(SamplingError):
    """A manifest cannot be imported.

    Attributes:
        sentences: What is wrong, one sentence for each fault.
    """

    exit_status = 2

    def __init__(self, *sentences: str) -> None:
        super().__init__("; ".join(sentences))
        self.sentences = sentences


class ScanError(SamplingError):
    """A folder cannot be scanned as it was asked for. Nothing is registered."""

    exit_status = 2


class OutputError(SamplingError):
    """The output of a command cannot be written: the disk is full, or the stream is closed."""


class ReaderGoneError(OutputError):
    """The reader of the output has closed it."""


class CheckError(SamplingError):
    """An installation failed its acceptance test. The sentence says how."""


class LoopEndedError(SamplingError):
    """A loop ended without being told to. This is a bug of ours, and the loop is started again."""


class NotTestedError(CheckError):
    """An acceptance test could not be run, so it says nothing about the distribution."""


class DeskError(SamplingError):
    """The desk refuses a request of HTTP. The sentence says why, and what is accepted.

    Attributes:
        status: Status of the answer.
        code: What is wrong, in a word for programs.
    """

    def __init__(self, status: int, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.code = code


class DependencyError(SamplingError):
    """A server must act first: the worker acknowledges nothing, backs off and stays up."""


class UnreachableError(DependencyError):
    """A server could not be reached, did not answer in time, or accepts nobody at present.

    Attributes:
        reason: Why, in a few words, without what was being done.
    """

    exit_status = 3

    def __init__(self, sentence: str, reason: str = "") -> None:
        super().__init__(sentence)
        self.reason = reason or sentence


class LoginError(DependencyError):
    """A server refused the login or the database: the URL has to change."""

    exit_status = 2


class RedisError(DependencyError):
    """Redis could not be reached, or refused a command."""


class RedisUnreachableError(RedisError, UnreachableError):
    """Redis could not be reached."""


class RefusedError(RedisError):
    """Redis refuses a command and will refuse it again, for a password, a right or the type of a key."""


class RedisLoginError(RefusedError, LoginError):
    """Redis refused the login."""


class UnreadableError(RefusedError):
    """A value in Redis cannot be read. The sentence names it, and says how to mend it."""


class GroupMissingError(RedisError):
    """The consumer group or its stream is gone and has to be made again."""


class PostgresError(DependencyError):
    """PostgreSQL could not be reached, or refused a statement."""


class PostgresUnreachableError(PostgresError, UnreachableError):
    """PostgreSQL could not be reached."""


class PostgresLoginError(PostgresError, LoginError):
    """PostgreSQL refused the login."""


class SettingsError(SamplingError):
    """The operator must act: the start ends with exit status 2."""

    exit_status = 2
