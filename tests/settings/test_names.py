"""The environment is shared: names of others are left alone, and names that can only be meant for ours are refused."""

import random

import pytest

from worker.errors import SettingsError
from worker.settings.model import Settings, load_settings
from worker.settings.names import VARIABLES, list_unknown, meant_by

URLS = {"REDIS_URL": "redis://:pw@localhost:6379/0", "DATABASE_URL": "postgresql://worker:pw@localhost:5432/audio"}
OURS = [name for name in VARIABLES if name.startswith("WORKER_")]

# Of process managers, queues, launchers and clusters; each has been seen in an environment.
_WORDS = (
    "ADDR ADDRESS ARGS AUTOSCALE BACKOFF BATCHES BATCH_SIZE BIN_DIR BIND BROKER_URL BUILD CATALOG CHUNK_SIZE CLASS "
    "CLASSES CLUSTER CMD COMMAND CONCURRENCY CONFIG CONFIG_FILE CONNECTIONS CONNECT_TIMEOUT CONSUMER_GROUP "
    "CONSUMER_ID CONSUMER_NAME COUNT CPU CPUS CUSTOMER DATABASE_URL DATA_DIR DEBUG DELIVERY DEVICE DIR DRAIN "
    "ENABLED ENV ENV_FILE GPUS GROUP HEALTH_PORT HEARTBEAT_INTERVAL HOME HOST ID IDLE_TIMEOUT IMAGE INDEX IP "
    "JOB_TIMEOUT KEEPALIVE KEY LABELS LOGLEVEL LOG_DIR LOG_LEVEL MATCH MAX_AGE MAX_BATCH_SIZE MAX_CONCURRENCY "
    "MAX_JOBS MAX_MEMORY_PER_CHILD MAX_REQUESTS MAX_RETRIES MAX_TASKS MAX_TASKS_PER_CHILD MAX_TIME MEMORY MEM_LIMIT "
    "METRICS_PORT MIN_SIZE MODE NAME NODE NODES NUM NUMBER OPTS OUT_DIR PATCH PATH POLL_INTERVAL POOL POOL_SIZE "
    "PORT PREFETCH PREFETCH_MULTIPLIER PRELOAD PROCESSES PRODUCER QUEUE QUEUES RANK REDIS_URL REGION RELOAD "
    "REPLICAS REQUEST_TIMEOUT RESTART_POLICY RESULT_BACKEND RESULT_TTL RETRIES RETRY_DELAY ROLE RUN RUNNER RUNTIME "
    "RUN_AS RUN_ID RUN_MODE SCRIPT SECRET SECRET_FILE SESSION_ID SESSION_KEY SHUTDOWN_TIMEOUT SIZE SLEEP SOCKET "
    "STATE STATSD_HOST STATUS STOP_TIMEOUT SUFFIX TAGS TASK_TIMEOUT TEMP_DIR THREADS TIMEOUT TMP_DIR TOKEN TTL TYPE "
    "UNIT URL USER VERSION WATCH WEIGHT WEIGHTS WORK_DIR ZONE "
)
OTHERS = _WORDS.split()

MISSPELT = {
    "WORKER_BACH": "WORKER_BATCH",
    "WORKER_BATHC": "WORKER_BATCH",
    "WORKER_BATCH_": "WORKER_BATCH",
    "worker_batch": "WORKER_BATCH",
    "WORKER_PREFX": "WORKER_PREFIX",
    "WORKER_PRFEIX": "WORKER_PREFIX",
    "WORKER_PREFX_FILE": "WORKER_PREFIX_FILE",
    "WORKER_PREFIX_FLIE": "WORKER_PREFIX_FILE",
    "WORKER_MAXSIZE": "WORKER_MAX_SIZE",
    "WORKER_SIZE_MAX": "WORKER_MAX_SIZE",
    "WORKER_CONSUMERS": "WORKER_CONSUMER",
    "WORKER_CLAIM_IDLE": "WORKER_CLAIM_IDLE_S",
    "WORKER_CLAIM_IDLE_MS": "WORKER_CLAIM_IDLE_S",
    "WORKER_CLAIMIDLE_S": "WORKER_CLAIM_IDLE_S",
    "WORKER_CATALOG_REFRESH": "WORKER_CATALOG_REFRESH_S",
    "WORKER_CATALOG_REFRESH_SECONDS": "WORKER_CATALOG_REFRESH_S",
    "WORKER_CATALOG_REFRESH_INTERVAL": "WORKER_CATALOG_REFRESH_S",
    "WORKER_CATALOGUE_REFRESH_S": "WORKER_CATALOG_REFRESH_S",
    "WORKER_WEIGTH_UNIT": "WORKER_WEIGHT_UNIT",
    "WORKER_WEIGHTS_UNIT": "WORKER_WEIGHT_UNIT",
    "WORKER_CHUNK_QUERY": "WORKER_CHUNKS_QUERY",
    "WORKER_RESULT_MAX_LEN": "WORKER_RESULTS_MAXLEN",
    "WORKER_RUNDIR": "WORKER_RUN_DIR",
    "WORKER_SESSION_TTL": "WORKER_SESSION_TTL_S",
    "WORKER_TTL_SESSION_S": "WORKER_SESSION_TTL_S",
}


def _problem(variable: str, value: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings({**URLS, variable: value})
    return str(caught.value)


def service_variables(service: str) -> dict[str, str]:
    """Write what Kubernetes puts into every pod for a Service, and Docker's links for a container."""
    name = service.upper().replace("-", "_")
    port = f"{name}_PORT_80_TCP"
    return {
        f"{name}_SERVICE_HOST": "10.0.0.5",
        f"{name}_SERVICE_PORT": "80",
        f"{name}_SERVICE_PORT_HTTP": "80",
        f"{name}_PORT": "tcp://10.0.0.5:80",
        port: "tcp://10.0.0.5:80",
        f"{port}_PROTO": "tcp",
        f"{port}_PORT": "80",
        f"{port}_ADDR": "10.0.0.5",
        f"{name}_PORT_53_UDP": "udp://10.0.0.5:53",
        f"{name}_NAME": f"/pod/{service}",
        f"{name}_ENV_PATH": "/bin",
    }


def test_the_names_are_those_of_the_model() -> None:
    assert tuple(field.alias for field in Settings.model_fields.values()) == VARIABLES


@pytest.mark.parametrize("name", OTHERS)
def test_a_name_of_others_is_left_alone(name: str) -> None:
    assert meant_by(f"WORKER_{name}") is None


def test_names_of_others_do_not_change_the_settings() -> None:
    given = {f"WORKER_{name}": "x" for name in OTHERS}
    assert load_settings({**URLS, **given}) == load_settings(URLS)


@pytest.mark.parametrize(("name", "meant"), MISSPELT.items())
def test_a_name_that_can_only_be_meant_for_ours_is_refused(name: str, meant: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} is not a setting; the nearest known name is {meant}$"):
        load_settings({**URLS, name: "1"})


@pytest.mark.parametrize("variable", OURS)
def test_one_slip_of_the_keyboard_is_seen_anywhere(variable: str) -> None:
    stem = variable.removeprefix("WORKER_")
    for i, letter in enumerate(stem):
        slips = [
            stem[:i] + stem[i + 1 :],
            stem[:i] + letter + stem[i:],
            stem[:i] + stem[i + 1 : i + 2] + letter + stem[i + 2 :],
            stem[:i] + "X" + stem[i + 1 :],
        ]
        for slip in set(slips) - {stem}:
            assert meant_by(f"WORKER_{slip}") is not None, slip


@pytest.mark.parametrize(
    "service",
    ["worker", "worker-x", "worker-gateway", "redis", "database", "postgres", "log", "pg"]
    + [name.lower().replace("_", "-") for name in VARIABLES],
)
def test_the_variables_of_a_service_are_left_alone(service: str) -> None:
    given = service_variables(service)
    assert load_settings({**URLS, **given}) == load_settings(URLS)


def test_the_variables_of_a_service_are_no_news() -> None:
    given = {
        **service_variables("worker-x"),
        "WORKER_CLASS": "gevent",
        "WORKER_ID": "1",
        "WORKER_BATCH": "1",
        "PATH": "",
    }
    links = {"WORKER_X_NAME", "WORKER_X_ENV_PATH"}
    assert set(list_unknown(given)) - links == {"WORKER_CLASS", "WORKER_ID"}


def test_a_random_name_is_refused_only_where_it_is_near() -> None:
    rng = random.Random(11)
    letters = "ABCDEFGHIKLMNOPRSTUWXYZ_"
    names = {"WORKER_" + "".join(rng.choices(letters, k=rng.randint(1, 20))) for _ in range(3000)}
    assert {name for name in names if meant_by(name)} == set()


@pytest.mark.parametrize("quote", ["'", '"', "`"])
@pytest.mark.parametrize("variable", [*URLS, "WORKER_PREFIX", "WORKER_BATCH", "WORKER_CHUNKS_QUERY", "LOG_LEVEL"])
def test_quotes_that_an_env_file_kept_are_told(variable: str, quote: str) -> None:
    value = {**URLS, "WORKER_CHUNKS_QUERY": "select id, category from t"}.get(variable, "1")
    problem = _problem(variable, f"{quote}{value}{quote}")
    assert problem.startswith(f"{variable} is not accepted: it stands in quotes, which `docker --env-file` keeps")
    assert ":pw@" not in problem


def test_a_value_that_is_no_text_is_refused() -> None:
    for variable in [*URLS, "WORKER_PREFIX", "WORKER_CHUNKS_QUERY", "WORKER_RUN_DIR"]:
        assert _problem(variable, "/x\udcff select") == f"{variable} is not text; accepted: UTF-8"
