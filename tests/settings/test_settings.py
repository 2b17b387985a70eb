"""A setting is taken as it was meant, or refused by a sentence that names it; a secret is in neither."""

import json
import os
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from worker.errors import SettingsError
from worker.settings.environment import default_run_dir, read_sources, resolve
from worker.settings.model import Settings, load_settings

REDIS_URL = "redis://:pw@localhost:6379/0"
DATABASE_URL = "postgresql://worker:pw@localhost:5432/audio"
URLS = {"REDIS_URL": REDIS_URL, "DATABASE_URL": DATABASE_URL}
CANARY = "c4n4ry"

DEFAULTS: dict[str, Any] = {
    "LOG_LEVEL": "info",
    "LOG_FORMAT": None,
    "WORKER_PREFIX": "audio",
    "WORKER_CONSUMER": None,
    "WORKER_MAX_SIZE": 65536,
    "WORKER_BATCH": 256,
    "WORKER_LINGER_MS": 0,
    "WORKER_CLAIM_IDLE_S": 5.0,
    "WORKER_MAX_DELIVERIES": 5,
    "WORKER_WEIGHTS_REFRESH_S": 1.0,
    "WORKER_CATALOG_REFRESH_S": 30.0,
    "WORKER_CATALOG_WAIT_S": 5.0,
    "WORKER_CHUNKS_QUERY": None,
    "WORKER_WEIGHT_UNIT": "chunks",
    "WORKER_CATALOG_COLUMNS": (),
    "WORKER_RESULTS_MAXLEN": 1_000_000,
    "WORKER_RESULTS_MAX_BYTES": 1 << 28,
    "WORKER_REPLY_TTL_S": 3600.0,
    "WORKER_SESSION_TTL_S": 86_400.0,
    "WORKER_STATS_INTERVAL_S": 10.0,
    "WORKER_DRAIN_TIMEOUT_S": 10.0,
    "WORKER_RUN_DIR": Path("/tmp", f"sampling-worker-{os.getuid()}"),  # noqa: S108
}
WHOLE = {
    "WORKER_MAX_SIZE": 65_536,
    "WORKER_BATCH": 1000,
    "WORKER_LINGER_MS": 1000,
    "WORKER_MAX_DELIVERIES": 1_000_000,
    "WORKER_RESULTS_MAXLEN": 1_000_000_000,
}
SECONDS = [variable for variable in DEFAULTS if variable.endswith("_S")]
GOOD: list[tuple[str, str, Any]] = [
    ("LOG_LEVEL", "debug", "debug"),
    ("LOG_LEVEL", "WARNING", "warning"),
    *(("LOG_LEVEL", given, "debug") for given in ("trace", "Verbose", "NOTSET", "0", "5", "10")),
    *(("LOG_LEVEL", given, "info") for given in ("notice", "Information", "11", "20", " info ")),
    *(("LOG_LEVEL", given, "warning") for given in ("warn", "WARN", "30")),
    *(("LOG_LEVEL", given, "error") for given in ("critical", "FATAL", "crit", "err", "emergency", "40", "50")),
    ("LOG_FORMAT", "json", "json"),
    ("LOG_FORMAT", "console", "console"),
    ("WORKER_PREFIX", "{audio}", "{audio}"),
    ("WORKER_PREFIX", "a" * 64, "a" * 64),
    ("WORKER_CONSUMER", "host-1/ä", "host-1/ä"),
    ("WORKER_CONSUMER", "c" * 128, "c" * 128),
    ("WORKER_CHUNKS_QUERY", "-- mine\nselect id, kind from t", "-- mine\nselect id, kind from t"),
    ("WORKER_WEIGHT_UNIT", "seconds", "seconds"),
    ("WORKER_WEIGHT_UNIT", "Chunks", "chunks"),
    ("WORKER_CATALOG_COLUMNS", "path, duration_s", ("duration_s", "path")),
    ("WORKER_CATALOG_COLUMNS", "start_s", ("start_s",)),
    ("WORKER_RUN_DIR", "/run/worker", Path("/run/worker")),
    ("WORKER_RESULTS_MAX_BYTES", "16777216", 1 << 24),
    ("WORKER_RESULTS_MAX_BYTES", "1099511627776", 1 << 40),
    *((variable, "1", 1) for variable in WHOLE),
    *((variable, str(high), high) for variable, high in WHOLE.items()),
    *((variable, "0.001", 0.001) for variable in SECONDS),
    *((variable, "31536000", 31_536_000.0) for variable in SECONDS),
]
BAD: list[tuple[str, str]] = [
    *((variable, "") for variable in DEFAULTS),
    ("LOG_LEVEL", "loud"),
    ("LOG_LEVEL", "60"),
    ("LOG_LEVEL", "-10"),
    ("LOG_LEVEL", "off"),
    ("LOG_FORMAT", "xml"),
    ("WORKER_PREFIX", "a b"),
    ("WORKER_PREFIX", "a" * 65),
    ("WORKER_PREFIX", "audio\n"),
    ("WORKER_CONSUMER", "a b"),
    ("WORKER_CONSUMER", "a\x1b"),
    ("WORKER_CONSUMER", "c" * 129),
    ("WORKER_CHUNKS_QUERY", "delete from audio_chunks"),
    ("WORKER_WEIGHT_UNIT", "minutes"),
    ("WORKER_RESULTS_MAX_BYTES", "16777215"),
    ("WORKER_RESULTS_MAX_BYTES", "1099511627777"),
    *(("WORKER_CATALOG_COLUMNS", given) for given in ("category", "path,path", "path,", "Path", "path start_s")),
    ("WORKER_RUN_DIR", "run"),
    ("WORKER_RUN_DIR", "/run/a\0b"),
    *((variable, given) for variable in WHOLE for given in ("-1", "1.5", "many", "nan", "1e400")),
    *((variable, "0") for variable in WHOLE if variable != "WORKER_LINGER_MS"),
    *((variable, str(high + 1)) for variable, high in WHOLE.items()),
    *((variable, given) for variable in SECONDS for given in ("0", "-1", "nan", "inf", "1e400", "soon", "5s")),
]
GOOD_URLS = [
    ("REDIS_URL", "redis://localhost"),
    ("REDIS_URL", "redis://"),
    ("REDIS_URL", "redis:///0"),
    ("REDIS_URL", "redis://h:6379/0?client_name=a@b"),
    ("REDIS_URL", "rediss://user:p%2Fw@h.example:6380/0"),
    ("REDIS_URL", "redis://:p@w@[::1]:6379"),
    ("REDIS_URL", "unix:///run/redis.sock?db=1"),
    ("REDIS_URL", "unix://user:pw@/run/redis.sock"),
    ("REDIS_URL", "redis+sentinel://:pw@a:26379,b:26379,c/mymaster/0"),
    ("REDIS_URL", "redis+cluster://a:7000,b:7001"),
    ("DATABASE_URL", "postgresql://u:pw@a:5432,b/db?target_session_attrs=read-write"),
    ("DATABASE_URL", "postgres://u@h/db"),
    ("DATABASE_URL", "postgresql:///db?host=/run/postgresql"),
]
BAD_URLS = [
    ("REDIS_URL", "", "it does not start with a scheme and ://"),
    ("REDIS_URL", "localhost:6379", "it does not start with a scheme and ://"),
    ("REDIS_URL", "http://h", "it starts with http://"),
    ("REDIS_URL", "postgresql://h", "it starts with postgresql://"),
    ("REDIS_URL", "redis://:p w@h", "it holds a space or a control character"),
    ("REDIS_URL", "redis://h\n", "it holds a space or a control character"),
    ("REDIS_URL", "redis://:pw/x@h:6379", "its host or port is not valid"),
    ("REDIS_URL", "redis://:12/x@h:6379", "its host or port is not valid"),
    ("REDIS_URL", "redis://h:port", "its host or port is not valid"),
    ("REDIS_URL", "redis://::1:6379", "its host or port is not valid"),
    ("REDIS_URL", "redis://h:0", "its port is not from 1 to 65535"),
    ("REDIS_URL", "redis://h:65536", "its port is not from 1 to 65535"),
    ("REDIS_URL", "unix://", "it names no socket by an absolute path"),
    ("REDIS_URL", "unix://run/redis.sock", "it names no socket by an absolute path"),
    ("DATABASE_URL", "redis://h", "it starts with redis://"),
    ("DATABASE_URL", "mysql://h", "it starts with mysql://"),
]


def _load(tmp_path: Path, **given: str) -> Settings:
    return load_settings({**URLS, **given}, dotenv=tmp_path / ".env")


def _problem(environ: dict[str, str], **options: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(environ, **options)
    return str(caught.value)


def _fields() -> dict[str, tuple[str, str, dict[str, Any]]]:
    """List field name, description and words of every variable."""
    found = {}
    for name, field in Settings.model_fields.items():
        assert field.alias
        assert field.description
        assert isinstance(field.json_schema_extra, dict)
        found[field.alias] = (name, field.description, field.json_schema_extra)
    return found


def test_the_tables_above_name_every_setting() -> None:
    assert set(_fields()) == {*DEFAULTS, *URLS, "WORKER_DESK_TOKEN"}  # a secret of `desk`, see test_for_desk.py
    assert {variable for variable, _ in BAD} == set(DEFAULTS)
    assert {variable for variable, _, _ in GOOD} == set(DEFAULTS)


def test_every_setting_is_described_in_words() -> None:
    for variable, (_, description, words) in _fields().items():
        assert "\n" not in description
        assert words["accepted"]
        assert words["default"]
        assert words["default"] == "required" or variable not in URLS


def test_defaults_are_those_of_the_contract(tmp_path: Path) -> None:
    settings = _load(tmp_path)
    for variable, default in DEFAULTS.items():
        value = getattr(settings, _fields()[variable][0])
        assert value == default, variable
        assert type(value) is type(default), variable
    assert settings.redis_url.get_secret_value() == REDIS_URL
    assert settings.database_url.get_secret_value() == DATABASE_URL


@pytest.mark.parametrize(("variable", "given", "value"), GOOD)
def test_an_accepted_value_is_taken(tmp_path: Path, variable: str, given: str, value: object) -> None:
    assert getattr(_load(tmp_path, **{variable: given}), _fields()[variable][0]) == value


@pytest.mark.parametrize(("variable", "given"), BAD)
def test_a_refused_value_is_named_with_what_is_accepted(tmp_path: Path, variable: str, given: str) -> None:
    problem = _problem({**URLS, variable: given}, dotenv=tmp_path / ".env")
    assert problem.startswith(f"{variable}=")
    assert problem.endswith(f"is not accepted; accepted: {_fields()[variable][2]['accepted']}")
    assert problem.isprintable()


@pytest.mark.parametrize(("variable", "url"), GOOD_URLS)
def test_a_url_that_a_driver_can_use_is_taken(tmp_path: Path, variable: str, url: str) -> None:
    taken = getattr(_load(tmp_path, WORKER_PREFIX="{a}", **{variable: url}), _fields()[variable][0])
    assert taken.get_secret_value() == url


@pytest.mark.parametrize("prefix", [None, "audio", "{}audio", "audio}", "}{audio"])
def test_names_that_a_cluster_would_keep_on_several_nodes_are_refused(tmp_path: Path, prefix: str | None) -> None:
    given = {"WORKER_PREFIX": prefix} if prefix else {}
    problem = _problem({**URLS, "REDIS_URL": "redis+cluster://a", **given}, dotenv=tmp_path / ".env")
    assert problem == (
        f"WORKER_PREFIX={prefix or 'audio'} is not accepted with redis+cluster://: "
        "a cluster would keep its names on several nodes; accepted: a hash tag such as {audio}"
    )


@pytest.mark.parametrize("prefix", ["{audio}", "all:{audio}:a", "{{a}", "{a}{"])
def test_names_that_a_cluster_keeps_on_one_node_are_taken(tmp_path: Path, prefix: str) -> None:
    assert _load(tmp_path, REDIS_URL="redis+cluster://a", WORKER_PREFIX=prefix).prefix == prefix


@pytest.mark.parametrize(("variable", "url", "reason"), BAD_URLS)
def test_a_url_that_no_driver_can_use_is_refused(tmp_path: Path, variable: str, url: str, reason: str) -> None:
    problem = _problem({**URLS, variable: url}, dotenv=tmp_path / ".env")
    assert problem.startswith(f"{variable} is not accepted: {reason}")
    assert problem.endswith(f"; accepted: {_fields()[variable][2]['accepted']}")


def test_the_sentences_read_as_promised(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    assert _problem({**URLS, "WORKER_MAX_SIZE": "0"}, dotenv=dotenv) == (
        "WORKER_MAX_SIZE=0 is not accepted; accepted: a whole number from 1 to 65536"
    )
    assert _problem({**URLS, "WORKER_MAXSIZE": "9"}, dotenv=dotenv) == (
        "WORKER_MAXSIZE is not a setting; the nearest known name is WORKER_MAX_SIZE"
    )
    assert _problem({"REDIS_URL": REDIS_URL}, dotenv=dotenv) == (
        "DATABASE_URL is missing; accepted: a URL that starts with postgresql:// or postgres://, "
        "such as postgresql://worker@localhost:5432/audio, given in the environment or in .env, "
        "or a `sampling-worker up` that runs on this machine"
    )


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    environ = {"REDIS_URL": "h", "WORKER_BATCH": "0", "WORKER_PREFX": "a", "WORKER_PREFIX_FILE": "/nowhere"}
    problem = _problem(environ, dotenv=tmp_path / ".env")
    parts = ["DATABASE_URL is missing", "REDIS_URL is not accepted", "WORKER_BATCH=0", "WORKER_PREFX is not"]
    assert all(problem.count(part) == 1 for part in [*parts, "WORKER_PREFIX_FILE='/nowhere' cannot be read"])


@pytest.mark.parametrize("variable", [name for name in DEFAULTS if name.startswith("WORKER_")])
def test_a_misspelt_name_is_told_the_nearest_known_one(tmp_path: Path, variable: str) -> None:
    problem = _problem({**URLS, variable + "X": "1"}, dotenv=tmp_path / ".env")
    assert problem == f"{variable}X is not a setting; the nearest known name is {variable}"


def test_a_misspelt_file_variant_is_told_the_nearest_file_variant(tmp_path: Path) -> None:
    problem = _problem({**URLS, "WORKER_PREFX_FILE": "/x"}, dotenv=tmp_path / ".env")
    assert problem.endswith("the nearest known name is WORKER_PREFIX_FILE")


def test_a_missing_one_is_told_what_was_given_in_its_place(tmp_path: Path) -> None:
    environ = {"REDIS_URI": REDIS_URL, "DATABASE_URL": DATABASE_URL, "PATH": "/bin"}
    problem = _problem(environ, dotenv=tmp_path / ".env")
    assert problem.startswith("REDIS_URL is missing (REDIS_URI is given, which is not a setting); accepted: ")


def test_other_programs_variables_are_their_own_business(tmp_path: Path) -> None:
    assert _load(tmp_path, LOG_COLOUR="x", MY_WORKER_X="x", REDIS_URI="x").prefix == "audio"


def test_a_command_asks_only_for_the_servers_it_needs(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    settings = load_settings({"REDIS_URL": REDIS_URL}, need=["redis"], dotenv=dotenv)
    assert settings.database_url == SecretStr("")
    assert load_settings({}, need=[], dotenv=dotenv).redis_url == SecretStr("")
    assert _problem({"REDIS_URL": REDIS_URL}, need=["database"], dotenv=dotenv).startswith("DATABASE_URL is missing")
    given = {"REDIS_URL": "http://h", "DATABASE_URL": DATABASE_URL, "LOG_LEVEL": "loud", "LOG_FORMAT": "text"}
    settings = load_settings(given, need=["database"], dotenv=dotenv)
    assert (settings.redis_url, settings.log_level) == (SecretStr(""), "info"), "other programs have such variables too"
    assert _problem(given, dotenv=dotenv).startswith("REDIS_URL is not accepted")


def test_settings_cannot_be_changed(tmp_path: Path) -> None:
    settings = _load(tmp_path)
    with pytest.raises(ValidationError):
        settings.prefix = "b"


def test_a_long_or_unprintable_value_is_shown_short_and_escaped(tmp_path: Path) -> None:
    problem = _problem({**URLS, "WORKER_PREFIX": "a" * 10_000, "WORKER_CONSUMER": "a\nb"}, dotenv=tmp_path / ".env")
    assert "WORKER_CONSUMER='a\\nb' is not" in problem
    assert len(problem) < 400


class TestDotenv:
    def test_it_gives_what_the_environment_does_not(self, tmp_path: Path) -> None:
        dotenv = tmp_path / ".env"
        dotenv.write_text(
            f"# comment\nexport REDIS_URL='{REDIS_URL}'\nDATABASE_URL=\"{DATABASE_URL}\"  # main\n\n"
            "WORKER_PREFIX=from-file\nWORKER_BATCH=10\nNOT_OURS=${HOME}\nBARE\n"
        )
        settings = load_settings({"WORKER_BATCH": "20"}, dotenv=dotenv)
        assert (settings.prefix, settings.batch) == ("from-file", 20)
        assert settings.redis_url.get_secret_value() == REDIS_URL
        assert settings.database_url.get_secret_value() == DATABASE_URL

    def test_an_unknown_name_in_it_is_refused(self, tmp_path: Path) -> None:
        dotenv = tmp_path / ".env"
        dotenv.write_text("WORKER_BATHC=1\n")
        assert "nearest known name is WORKER_BATCH" in _problem(URLS, dotenv=dotenv)

    def test_a_line_that_cannot_be_understood_is_numbered_and_not_shown(self, tmp_path: Path) -> None:
        dotenv = tmp_path / ".env"
        dotenv.write_text(f"WORKER_BATCH=1\n\nDATABASE_URL='{CANARY}\n")
        problem = _problem(URLS, dotenv=dotenv)
        assert "line 2" in problem or "line 3" in problem
        assert CANARY not in problem

    def test_a_file_that_is_not_text_is_refused(self, tmp_path: Path) -> None:
        dotenv = tmp_path / ".env"
        dotenv.write_bytes(b"WORKER_PREFIX=\xff\n")
        problem = _problem(URLS, dotenv=dotenv)
        assert problem == f"{dotenv}, line 1, gives WORKER_PREFIX and is not understood; accepted: NAME=value, in UTF-8"

    def test_a_folder_of_that_name_is_not_meant(self, tmp_path: Path) -> None:
        assert load_settings(URLS, dotenv=tmp_path).prefix == "audio"

    def test_a_path_that_cannot_be_looked_at_is_left_out(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / ("x" * 300)
        for _ in range(2):
            assert load_settings(URLS, dotenv=path).prefix == "audio"
        said = f"sampling-worker: {path} cannot be read (File name too long) and is left out\n"
        assert capsys.readouterr().err == said, "once"

    def test_it_is_looked_for_in_the_working_directory(self, tmp_path: Path) -> None:
        (tmp_path / ".env").write_text(f"REDIS_URL={REDIS_URL}\nWORKER_BATCH=7\n")
        program = (
            "from worker.settings.model import load_settings\n"
            "settings = load_settings()\n"
            "print(settings.batch, settings.prefix, settings)\n"
        )
        environ = {
            "DATABASE_URL": DATABASE_URL,
            "WORKER_PREFIX": "p",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        said = subprocess.run(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        assert said.startswith("7 p ")
        assert ":pw@" not in said


class TestFiles:
    @pytest.mark.parametrize("variable", [*DEFAULTS, *URLS])
    def test_every_setting_can_stand_in_a_file(self, tmp_path: Path, variable: str) -> None:
        value = URLS.get(variable) or next(given for name, given, _ in GOOD if name == variable)
        path = tmp_path / "value"
        path.write_text(value + "\n")
        others = {name: url for name, url in URLS.items() if name != variable}
        environ = {**others, f"{variable}_FILE": str(path)}
        by_file = load_settings(environ, dotenv=tmp_path / ".env")
        assert by_file == load_settings({**others, variable: value}, dotenv=tmp_path / ".env")

    def test_only_line_ends_are_taken_off(self, tmp_path: Path) -> None:
        path = tmp_path / "query"
        path.write_bytes(b"  select id, c\nfrom t \r\n")
        settings = _load(tmp_path, WORKER_CHUNKS_QUERY_FILE=str(path))
        assert settings.chunks_query == "  select id, c\nfrom t "

    def test_a_value_and_a_file_for_it_contradict_each_other(self, tmp_path: Path) -> None:
        problem = _problem({**URLS, "REDIS_URL_FILE": "/x"}, dotenv=tmp_path / ".env")
        assert problem == "REDIS_URL and REDIS_URL_FILE are both given; accepted: one of them"

    def test_the_environment_wins_over_a_file_that_dotenv_names(self, tmp_path: Path) -> None:
        dotenv = tmp_path / ".env"
        dotenv.write_text("WORKER_PREFIX_FILE=/nowhere\n")
        assert load_settings({**URLS, "WORKER_PREFIX": "mine"}, dotenv=dotenv).prefix == "mine"

    def test_a_file_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        problem = _problem({"DATABASE_URL": DATABASE_URL, "REDIS_URL_FILE": "/nowhere"}, dotenv=tmp_path / ".env")
        assert problem == (
            "REDIS_URL_FILE='/nowhere' cannot be read (No such file or directory); "
            "accepted: the path of a file that holds the value"
        )

    @pytest.mark.parametrize(("content", "path"), [(b"\xff", "value"), (b"", "a\0b")])
    def test_what_is_not_text_is_not_shown(self, tmp_path: Path, content: bytes, path: str) -> None:
        (tmp_path / "value").write_bytes(content)
        environ = {**URLS, "WORKER_PREFIX_FILE": str(tmp_path / path)}
        assert "cannot be read (it is not text)" in _problem(environ, dotenv=tmp_path / ".env")

    def test_a_wrong_value_from_a_file_is_named_as_the_setting(self, tmp_path: Path) -> None:
        (tmp_path / "size").write_text("0\n")
        problem = _problem({**URLS, "WORKER_MAX_SIZE_FILE": str(tmp_path / "size")}, dotenv=tmp_path / ".env")
        assert problem.startswith("WORKER_MAX_SIZE=0 is not accepted")


class TestSecrets:
    junk = st.text("abc0189 :/?#@%[]\\\n\x00,'\"", max_size=12)

    @given(
        variable=st.sampled_from(["REDIS_URL", "DATABASE_URL"]),
        scheme=st.sampled_from(["redis://", "unix://", "postgresql://", "redis+sentinel://", "http://", "redis:", ""]),
        parts=st.tuples(junk, junk, junk),
        host=st.sampled_from(["@localhost:6379/0", "@h:port/db", "", "@[::1", "@/run/redis.sock"]),
    )
    def test_none_is_shown_whatever_is_wrong_with_it(
        self, variable: str, scheme: str, parts: tuple[str, str, str], host: str
    ) -> None:
        user, left, right = parts
        environ = {**URLS, variable: f"{scheme}{user}:{left}{CANARY}{right}{host}"}
        try:
            settings = load_settings(environ, dotenv=Path("/nowhere/.env"))
        except SettingsError as exc:
            shown = "".join(traceback.format_exception(exc)) + repr(exc.__context__)
        else:
            shown = f"{settings} {settings!r} {settings.model_dump()} {settings.model_dump_json()}"
        assert CANARY not in shown

    @pytest.mark.parametrize("url", [f"redis:///:{CANARY}", f"redis://a/b:{CANARY}%0a?@1", f"redis://ac/]:[/{CANARY}"])
    def test_a_password_that_slipped_behind_the_host_is_not_shown(self, tmp_path: Path, url: str) -> None:
        problem = _problem({**URLS, "REDIS_URL": url}, dotenv=tmp_path / ".env")
        assert problem.startswith("REDIS_URL is not accepted: what follows its host is not the number of a database")

    def test_a_url_in_the_wrong_place_is_redacted(self, tmp_path: Path) -> None:
        problem = _problem({**URLS, "WORKER_PREFIX": f"redis://:{CANARY}@h"}, dotenv=tmp_path / ".env")
        assert problem.startswith("WORKER_PREFIX=redis://:***@h is not accepted")


class TestRunDir:
    def test_it_is_the_users_own(self, tmp_path: Path) -> None:
        assert default_run_dir({"XDG_RUNTIME_DIR": str(tmp_path)}) == tmp_path / "sampling-worker"
        assert default_run_dir({"TMPDIR": "/var/tmp"}) == Path(f"/var/tmp/sampling-worker-{os.getuid()}")  # noqa: S108
        assert default_run_dir({"XDG_RUNTIME_DIR": ""}) == DEFAULTS["WORKER_RUN_DIR"]

    @pytest.mark.parametrize("folder", ["/no/such/folder", "relative", ".", "~", "/dev/null", "x" * 5000])
    @pytest.mark.parametrize("variable", ["XDG_RUNTIME_DIR", "TMPDIR"])
    def test_a_folder_in_which_nothing_can_be_made_is_not_taken(self, variable: str, folder: str) -> None:
        assert default_run_dir({variable: folder}) == DEFAULTS["WORKER_RUN_DIR"]

    @pytest.mark.needs_root
    def test_the_runtime_folder_of_somebody_else_is_not_taken(self, tmp_path: Path) -> None:
        os.chown(tmp_path, 65534, 65534)
        assert default_run_dir({"XDG_RUNTIME_DIR": str(tmp_path)}) == DEFAULTS["WORKER_RUN_DIR"]

    def test_it_is_that_of_the_environment_it_is_given(self, tmp_path: Path) -> None:
        settings = _load(tmp_path, XDG_RUNTIME_DIR=str(tmp_path))
        assert settings.run_dir == tmp_path / "sampling-worker"


def test_health_reads_its_few_values_without_the_model(tmp_path: Path) -> None:
    (tmp_path / "prefix").write_text("mine\n")
    program = (
        "import json, sys\n"
        "from worker.settings.environment import default_run_dir, read_sources, resolve\n"
        "names = ['WORKER_PREFIX', 'WORKER_RUN_DIR', 'WORKER_CONSUMER']\n"
        "values, problems = resolve(names, read_sources())\n"
        "heavy = {'pydantic', 'dotenv', 'structlog', 'numpy', 'redis', 'asyncpg'} & set(sys.modules)\n"
        "print(json.dumps([values, problems, str(default_run_dir()), sorted(heavy)]))\n"
    )
    environ = {
        "WORKER_PREFIX_FILE": str(tmp_path / "prefix"),
        "WORKER_CONSUMER": "c",
        "XDG_RUNTIME_DIR": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    said = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environ, capture_output=True, check=True, text=True
    ).stdout
    expected = [{"WORKER_PREFIX": "mine", "WORKER_CONSUMER": "c"}, {}, str(tmp_path / "sampling-worker"), []]
    assert json.loads(said) == expected


def test_resolving_stops_at_the_first_source_that_gives_a_variable() -> None:
    sources = [{"A_FILE": "/nowhere"}, {"A": "1", "B": "2"}]
    values, problems = resolve(["A", "B", "C"], sources)
    assert values == {"B": "2"}
    assert list(problems) == ["A"]


def test_the_environment_of_the_process_is_the_default() -> None:
    assert read_sources(dotenv=Path("/nowhere/.env"))[0] is os.environ
