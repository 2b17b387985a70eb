"""The command `sampling-worker`: from the words of a command line to an exit status."""

import io
import os
import signal
import sys

_INTERRUPTED = 130


def main() -> None:
    """Run the command line of this process and exit."""
    arguments = sys.argv[1:]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # None where it is closed
            stream.reconfigure(errors="backslashreplace")  # a terminal of ASCII alone shows names of any kind, escaped
    if arguments[:1] in (["run"], ["up"], ["desk"]):
        # Until the verb handles signals, there is nothing to finish, so the process ends at once, in order. An
        # exception would not do: an import that is tried and given up would swallow it, and the signal with it.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: os._exit(0))
    try:
        status = _run(arguments)
    except KeyboardInterrupt:
        status = _INTERRUPTED
    sys.exit(status)


def _run(arguments: list[str]) -> int:
    """Run a verb with no more libraries than it needs."""
    from worker.cli.output import guard_streams  # noqa: PLC0415

    guard_streams()
    if arguments[:1] == ["health"]:
        # Probes come every few seconds: they load none of the libraries that other verbs need.
        from worker.cli.health import probe  # noqa: PLC0415

        return probe(arguments[1:])
    from worker.cli.commands import execute  # noqa: PLC0415

    return execute(arguments)


if __name__ == "__main__":
    main()
