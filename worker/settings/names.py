"""Distinguish a misspelt name of ours from a name of another program.

The environment is shared. Kubernetes sets `WORKER_PORT=tcp://...` for a Service named `worker`, and other tools read
names such as `WORKER_CONCURRENCY`. So a name is refused only if it is nearly one of ours: one typing error away (two
in a long name), with another unit, or with the same words in another order.

Source: Damerau, "A technique for computer detection and correction of spelling errors", 1964 (kinds of errors).
"""

import re
from collections.abc import Iterable

OWN = "WORKER_"
FILE_SUFFIX = "_FILE"
DESK_TOKEN = "WORKER_DESK_TOKEN"  # noqa: S105 - its name
VARIABLES = (
    "REDIS_URL",
    "DATABASE_URL",
    "LOG_LEVEL",
    "LOG_FORMAT",
    "WORKER_PREFIX",
    "WORKER_CONSUMER",
    "WORKER_MAX_SIZE",
    "WORKER_BATCH",
    "WORKER_LINGER_MS",
    "WORKER_CLAIM_IDLE_S",
    "WORKER_MAX_DELIVERIES",
    "WORKER_WEIGHTS_REFRESH_S",
    "WORKER_CATALOG_REFRESH_S",
    "WORKER_CATALOG_WAIT_S",
    "WORKER_CHUNKS_QUERY",
    "WORKER_WEIGHT_UNIT",
    "WORKER_CATALOG_COLUMNS",
    "WORKER_RESULTS_MAXLEN",
    "WORKER_RESULTS_MAX_BYTES",
    "WORKER_REPLY_TTL_S",
    "WORKER_SESSION_TTL_S",
    "WORKER_STATS_INTERVAL_S",
    "WORKER_DRAIN_TIMEOUT_S",
    DESK_TOKEN,
    "WORKER_RUN_DIR",
)
"""The variable of every setting. `worker.settings.model` defines what each accepts."""

_LONG = 9  # letters: in a name this long, two errors still leave one name that can be meant
_UNITS = "(S|SECS?|SECONDS?|MS|MILLIS|MILLISECONDS|M|MINS?|MINUTES?|H|HOURS?|DAYS?|INTERVAL)"
_TIMED = re.compile(f"_{_UNITS}$")
# Names that other programs may use, and that are one letter away from a name of ours.
_WORDS = frozenset({"WORKER_CATCH", "WORKER_MATCH", "WORKER_PATCH", "WORKER_WATCH"})
_SERVICE = re.compile(r"_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)?)$")


def is_setting(name: str) -> bool:
    """Return whether a variable is a setting, or names the file of one."""
    return name.removesuffix(FILE_SUFFIX) in VARIABLES


def meant_by(name: str) -> str | None:
    """Return the setting that a misspelt name is meant for.

    Args:
        name: A variable of the environment.

    Returns:
        The name of a setting; None if the name is a setting itself, or belongs to another program.
    """
    plain = name.removesuffix(FILE_SUFFIX)
    if plain in VARIABLES or plain in _WORDS or not plain.upper().startswith(OWN):
        return None
    stem, _, ending = name.rpartition("_")
    if stem in VARIABLES and _count_errors(ending, FILE_SUFFIX[1:]) == 1:
        return stem + FILE_SUFFIX
    own = (variable for variable in VARIABLES if variable.startswith(OWN))
    variable = next((variable for variable in own if _is_near(plain.upper(), variable)), None)
    return variable and variable + name[len(plain) :]


def list_unknown(given: Iterable[str]) -> list[str]:
    """List the variables that start with `WORKER_` but are no settings, without those of Kubernetes' Services.

    Args:
        given: Variables of the environment.
    """
    own = (name for name in set(given) if name.startswith(OWN) and not is_setting(name))
    return sorted(name for name in own if not _SERVICE.search(name))


def _is_near(name: str, variable: str) -> bool:
    """Return whether a name can only be meant for this variable."""
    if sorted(name.split("_")) == sorted(variable.split("_")):
        return True
    if variable.endswith("_S") and _TIMED.sub("", name) == _TIMED.sub("", variable):
        return True
    mistyped, meant = (text.removeprefix(OWN).replace("_", "") for text in (name, variable))
    most = 2 if len(meant) >= _LONG else 1
    return abs(len(mistyped) - len(meant)) <= most and _count_errors(mistyped, meant) <= most


def _count_errors(left: str, right: str) -> int:
    """Count the typing errors between two texts: an extra, missing or wrong letter, or two letters swapped."""
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, letter in enumerate(left, 1):
        before, above, row = row, before, [i]
        for j, wanted in enumerate(right, 1):
            best = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and left[i - 2 : i] == wanted + right[j - 2]:
                best = min(best, above[j - 2] + 1)
            row.append(best)
    return row[-1]
