"""What a refusal of Redis means, in words for people: what is wrong, and what to do about it."""

import re
from typing import Final

from worker.core.redaction import redact

_RIGHTS: Final = "accepted: the rights of deploy/redis.acl"
# What the server says -> what that means. redis-py cuts off some of the codes that its texts begin with.
_CAUSES: Final = tuple(
    (re.compile(said), meaning)
    for said, meaning in (
        (r"WRONGPASS|invalid username-password pair", "wrong user name or password"),
        (r"without any password configured", "it has no password; accepted: a URL without one"),
        (r"NOAUTH|Authentication required", "it asks for a password; accepted: a URL that has one"),
        (r"DENIED|protected mode", "it is in protected mode: it accepts only clients of its own machine"),
        (r"max number of clients", "it has as many clients as its `maxclients` allows"),
        (r"\bLOADING\b|is loading the dataset", "it is still loading its data"),
        (r"MASTERDOWN|Link with MASTER is down", "it is a replica that has lost its master"),
        (r"CLUSTERDOWN|cluster is down", "its cluster is down"),
        (
            r"rehashing of slot|^\d+ \S+:\d+$|non local key",
            "the slot of its keys is moved to another node, or was just now",
        ),
        (r"READONLY|read only replica", "it is a replica and accepts no changes; accepted: the URL of the master"),
        (r"NOREPLICAS|Not enough good replicas", "too few of its replicas are connected"),
        (r"MISCONF|unable to persist", "it cannot save its data and accepts no changes (MISCONF); see its log"),
        (
            r"\bOOM\b|used memory > 'maxmemory'",
            "its memory is full; accepted: a larger `maxmemory`, or less that is kept",
        ),
        (r"WRONGTYPE (?P<what>\S+) is of another type", "{what} is of another type (WRONGTYPE)"),
        (r"WRONGTYPE", "a key is of another type (WRONGTYPE)"),
        (r"\bBUSY\b|busy running a script", "another script has kept it busy for too long"),
        (
            r"(?P<user>this user|[Uu]ser \S+) has no permissions to run the '(?P<command>[^']+)'",
            "{user} may not run {command}; {rights}",
        ),
        (r"lacks the right to (?P<what>\S+ \S+)", "its user may not run {what}; {rights}"),
        (r"can't run this command", f"its user may not run a command of a script; {_RIGHTS}"),
        (r"permissions to access|can't access", f"its user may not use a key or channel that this needs; {_RIGHTS}"),
    )
)


def meaning_of(error: Exception) -> str:
    """Return what a refusal means, in the server's words if it is none of those known here.

    Args:
        error: What redis-py raised.
    """
    return find_meaning(error) or redact(str(error)) or type(error).__name__


def find_meaning(error: Exception) -> str | None:
    """Return what a refusal means; None if it is none of those known here."""
    said = redact(str(error))
    for pattern, meaning in _CAUSES:
        if found := pattern.search(said):
            words: dict[str, str] = found.groupdict()
            words["user"] = words.get("user", "").replace("User", "user")
            command = words.pop("command", "").replace("|", " ").upper()
            return meaning.format(**words, command=command, rights=_RIGHTS)
    return None
