"""URLs as providers and other programs write them: each is read as it is meant, or refused with what is accepted."""

import random
import string
from pathlib import Path
from urllib.parse import quote

import pytest
from pydantic import SecretStr

from worker.errors import SettingsError
from worker.settings.model import load_settings
from worker.settings.postgres_url import PostgresUrl, complete, read_postgres_url
from worker.settings.redis_url import read_redis_url

CANARY = "c4n4ry"

POSTGRES = {
    "Neon": "postgresql://u:pw@ep-x-1.eu-central-1.aws.neon.tech/neondb?sslmode=require&channel_binding=require",
    "Neon, by endpoint": "postgresql://u:pw@h.neon.tech/neondb?sslmode=require&options=endpoint%3Dep-x-1",
    "Vercel": "postgres://u:pw@h-pooler.neon.tech/db?sslmode=require&pgbouncer=true&connect_timeout=15",
    "Supabase": "postgresql://postgres:pw@db.ref.supabase.co:5432/postgres",
    "Supabase, pooler": "postgresql://postgres.ref:pw@aws-0-eu.pooler.supabase.com:6543/postgres?pgbouncer=true",
    "Supabase, Vercel": "postgres://postgres.r:pw@h.supabase.com:6543/postgres?sslmode=require&supa=base-pooler.x",
    "Prisma": "postgresql://u:pw@h:5432/db?schema=public&connection_limit=5&pool_timeout=10&socket_timeout=3",
    "RDS": "postgresql://u:pw@x.rds.amazonaws.com:5432/db?sslmode=verify-full&sslrootcert=system",
    "Heroku": "postgres://u:pw@ec2-1-2-3-4.compute-1.amazonaws.com:5432/d1",
    "Railway": "postgresql://postgres:pw@postgres.railway.internal:5432/railway",
    "Render": "postgresql://u:pw@dpg-x-a/db",
    "Azure": "postgres://user%40server:pw@server.postgres.database.azure.com:5432/postgres?sslmode=require",
    "Azure, not encoded": "postgres://user@server:pw@server.postgres.database.azure.com:5432/postgres?sslmode=require",
    "Cloud SQL": "postgresql://u:pw@/db?host=/cloudsql/project:region:instance",
    "a socket in the host": "postgresql://u@%2Frun%2Fpostgresql/db",
    "Aiven": "postgres://avnadmin:pw@pg-x.aivencloud.com:12345/defaultdb?sslmode=require",
    "CockroachDB": "postgresql://u:pw@h:26257/db?sslmode=verify-full&sslrootcert=system&options=--cluster%3Dx-1",
    "Fly": "postgres://u:pw@top2.nearest.of.x.internal:5432/db?sslmode=disable",
    "several hosts": "postgresql://u:pw@a:5432,b:5433/db?target_session_attrs=read-write&load_balance_hosts=disable",
    "libpq": "postgresql://h/db?keepalives=1&keepalives_idle=30&keepalives_interval=5&keepalives_count=3&gssencmode=prefer",
    "libpq, more": "postgresql://h/db?tcp_user_timeout=9000&sslsni=1&sslcompression=0&client_encoding=utf8&krbsrvname=postgres",
    "parameters alone": "postgresql://?host=h&port=5433&user=u&password=pw&dbname=db",
    "nothing": "postgresql://",
}
REDIS = {
    "Upstash": "rediss://default:pw@x-1.upstash.io:6379",
    "Heroku": "rediss://:pw@ec2-1-2-3-4.compute-1.amazonaws.com:12345?ssl_cert_reqs=none",
    "Celery": "rediss://:pw@h:6380/0?ssl_cert_reqs=CERT_NONE",
    "Redis Cloud": "redis://default:pw@redis-12345.c1.eu.ec2.cloud.redislabs.com:12345",
    "ElastiCache": "rediss://user:pw@master.x.euw1.cache.amazonaws.com:6379/0",
    "Azure": "rediss://:a%2Fb%3D@x.redis.cache.windows.net:6380/0",
    "Railway": "redis://default:pw@redis.railway.internal:6379",
    "Render": "redis://red-x:6379",
    "Aiven": "rediss://default:pw@valkey-x.aivencloud.com:12345",
    "time-outs": "redis://h:6379/3?socket_timeout=10&socket_connect_timeout=3&health_check_interval=30&max_connections=50",
    "names": "redis://h?client_name=job-1&db=4&socket_keepalive=true&socket_read_size=65536",
    "socket": "unix:///run/redis.sock?db=1&password=pw",
}
REFUSED = [
    ("postgresql+asyncpg://u:pw@h/db", "it starts with postgresql+asyncpg://; write postgresql://"),
    ("postgres+psycopg2://u:pw@h/db", "it starts with postgres+psycopg2://; write postgres://"),
    ("postgresql+psycopg://u:pw@h/db", "it starts with postgresql+psycopg://; write postgresql://"),
    ("POSTGRESQL://u:pw@h/db", "it starts with POSTGRESQL://; write postgresql://"),
    ("jdbc:postgresql://h/db", "it does not start with a scheme and ://, which stands behind jdbc: here"),
    ("prisma+postgres://h/db", "it starts with prisma+postgres://; write the direct postgres:// URL of the database"),
    ("host=h dbname=db", "it does not start with a scheme and ://"),
    ("postgresql://h/db?sslmod=require", "it has a parameter sslmod that is not known (is sslmode meant?)"),
    ("postgresql://h/db?sslmode=no-verify", "its sslmode is not disable or allow or prefer or require or verify-ca"),
    ("postgresql://h/db?sslmode=parse", "its sslmode is not disable"),
    ("postgresql://h/db?sslmode=", "its sslmode is not disable"),
    ("postgresql://h/db?sslmode", "what stands behind its ? is not NAME=VALUE"),
    ("postgresql://h/db?ssl=true", "it has a parameter ssl that is not known"),
    ("postgresql://h/db?service=x", "it has a parameter service that is not known"),
    ("postgresql://h/db?hostaddr=1.2.3.4", "it has a parameter hostaddr that is not known"),
    ("postgresql://h/db?require_auth=scram-sha-256", "it has a parameter require_auth that is not known"),
    ("postgresql://h/db?sslcert=/no/such/file", "its sslcert=/no/such/file cannot be read (No such file or directory)"),
    ("postgresql://h/db?sslkey=/tmp", "its sslkey=/tmp cannot be read (Is a directory)"),
    ("postgresql://h/db?sslrootcert=/no/such/file", "its sslrootcert=/no/such/file cannot be read (No such file"),
    ("postgresql://h/db?sslrootcert=system&sslmode=require", "its sslrootcert=system needs sslmode=verify-full"),
    ("postgresql://h/db?sslmode=disable&channel_binding=require", "its sslmode=disable contradicts what it demands"),
    ("postgresql://h/db?gssencmode=require", "its gssencmode is not disable or prefer"),
    ("postgresql://h/db?connect_timeout=soon", "its connect_timeout is not a whole number from 0 to 3600"),
    ("postgresql://h/db?target_session_attrs=master", "its target_session_attrs is not any or read-write"),
    ("postgresql://h/db?load_balance_hosts=random", "its load_balance_hosts is not disable"),
    ("postgresql://h:1/db?port=2", "it gives port twice"),
    ("postgresql://h/db?host=other", "it gives host twice"),
    ("postgresql://h/db?sslmode=disable&sslmode=require", "it gives sslmode twice"),
    ("postgresql://a,b,c/db?port=1,2", "it gives 2 ports for 3 hosts"),
    ("postgresql://a,,c/db", "one of its hosts is empty or not valid"),
    ("postgresql://h/db?port=99999", "its port is not a port from 1 to 65535"),
    ("postgresql://h/db#x", "it holds a #, which is written %23"),
    ("valkey://h", "it starts with valkey://; write redis://"),
    ("valkeys://h", "it starts with valkeys://; write rediss://"),
    ("https://x.upstash.io", "it starts with https://; write the URL for clients of the server itself, not for HTTP"),
    ("sentinel://h/s", "it starts with sentinel://; write redis+sentinel://"),
    ("redis://a,b", "it names several hosts, which redis+sentinel:// and redis+cluster:// take"),
    ("redis://h?ssl=true", "ssl asks for TLS, which rediss:// speaks"),
    ("redis://h?ssl_cert_reqs=none", "ssl_cert_reqs asks for TLS, which rediss:// speaks"),
    ("unix:///s?tls=1", "tls asks for TLS, which rediss:// speaks"),
    ("rediss://h?ssl_cert_reqs=perhaps", "its ssl_cert_reqs is not none or optional or required"),
    ("rediss://h?ssl_ca_certs=/no/such/file", "its ssl_ca_certs=/no/such/file cannot be read (No such file"),
    ("redis://h?timeout=20", "it has a parameter timeout that is not known"),
    ("redis://h?socket_timeout=0", "its socket_timeout is not a number of seconds from 2 to 3600"),
    ("redis://h?socket_timeout=nan", "its socket_timeout is not a number of seconds from 2 to 3600"),
    ("redis://h?socket_timeout=0.5", "its socket_timeout is not a number of seconds from 2 to 3600"),
    ("redis://h?max_connections=1", "its max_connections is not a whole number from 10"),
    ("redis://h?socket_read_size=0", "its socket_read_size is not a whole number from 1024"),
    ("redis://h?health_check_interval=-1", "its health_check_interval is not a whole number"),
    ("redis://h?db=first", "its db is not a whole number"),
    ("redis://h?client_name=a%20b", "its client_name is not a name without spaces"),
    ("redis://h?decode_responses=true", "decode_responses cannot be chosen here"),
    ("redis://h?protocol=3&retry_on_timeout=1", "protocol, retry_on_timeout cannot be chosen here"),
    ("redis://h?encoding=latin-1", "it has a parameter encoding that is not known"),
    ("redis://h/first", "/first is not the number of a database"),
    ("redis://@/secret@h:6379/0", "what follows its host is not the number of a database"),
]


def _variable(url: str) -> str:
    return "DATABASE_URL" if "postgres" in url.partition(":/")[0].lower() or url.startswith("host=") else "REDIS_URL"


def _load(**urls: str) -> dict[str, str]:
    settings = load_settings(
        {"REDIS_URL": "redis://h", "DATABASE_URL": "postgresql://h", **urls}, dotenv=Path("/nowhere")
    )
    return {
        "REDIS_URL": settings.redis_url.get_secret_value(),
        "DATABASE_URL": settings.database_url.get_secret_value(),
    }


@pytest.mark.parametrize("url", [*POSTGRES.values(), *REDIS.values()], ids=[*POSTGRES, *(f"r-{one}" for one in REDIS)])
def test_what_a_provider_hands_out_is_taken(url: str) -> None:
    assert _load(**{_variable(url): url})[_variable(url)] == url


@pytest.mark.parametrize(("url", "reason"), REFUSED)
def test_what_cannot_be_done_is_refused_with_what_is_accepted(url: str, reason: str) -> None:
    with pytest.raises(SettingsError) as caught:
        _load(**{_variable(url): url})
    assert str(caught.value).startswith(f"{_variable(url)} is not accepted: {reason}")
    assert str(caught.value).count("accepted: a URL that starts with") == 1
    assert "pw" not in str(caught.value).replace("psql", "")


def test_a_parameter_that_is_not_known_is_told_those_that_are() -> None:
    with pytest.raises(
        SettingsError, match=r"; known are application_name, channel_binding, .*, sslmode, .*; accepted: "
    ):
        _load(DATABASE_URL="postgresql://h/db?sslmod=require")
    with pytest.raises(SettingsError, match=r"; known are client_name, db, .*, socket_timeout, username; accepted: "):
        _load(REDIS_URL="redis://h?sokcet_timeout=3")


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://u:1?{CANARY}@h/db",
        f"postgresql://u:1?{CANARY}=1&a@h/db",
        f"redis://u:1?{CANARY}=@h/0",
        f"redis://h?password={CANARY}%00",
        f"postgresql://h?password={CANARY}%0a",
        f"postgresql://h?sslpassword={CANARY}%00",
        f"redis://u:{CANARY}#@h",
        f"'redis://u:{CANARY}@h'",
    ],
)
def test_a_piece_of_a_password_is_never_shown(url: str) -> None:
    variable = "DATABASE_URL" if "postgres" in url else "REDIS_URL"
    with pytest.raises(SettingsError) as caught:
        _load(**{variable: url})
    assert CANARY not in str(caught.value)


def test_a_url_is_read_as_it_is_meant() -> None:
    said = read_postgres_url(POSTGRES["Azure, not encoded"])
    assert (said.hosts, said.ports) == (["server.postgres.database.azure.com"], [5432])
    assert (said.user, said.password, said.database) == ("user@server", "pw", "postgres")
    assert said.tls == {"sslmode": "require"}
    cloud = read_postgres_url(POSTGRES["Cloud SQL"])
    assert (cloud.hosts, cloud.ports, cloud.user) == (["/cloudsql/project:region:instance"], None, "u")
    assert read_postgres_url(POSTGRES["a socket in the host"]).hosts == ["/run/postgresql"]
    several = read_postgres_url("postgresql://u@[::1],b:5433/db")
    assert (several.hosts, several.ports) == (["::1", "b"], [5432, 5433])
    alone = read_postgres_url(POSTGRES["parameters alone"])
    assert alone[:5] == (["h"], [5433], "u", "pw", "db")
    assert read_postgres_url("postgresql://") == PostgresUrl(None, None, None, None, None, {}, {}, {})


@pytest.mark.parametrize(
    ("query", "tls"),
    [
        ("channel_binding=require", {"sslmode": "require"}),
        ("channel_binding=require&sslmode=prefer", {"sslmode": "require"}),
        ("channel_binding=require&sslmode=verify-full", {"sslmode": "verify-full"}),
        ("channel_binding=prefer&sslmode=disable", {"sslmode": "disable"}),
        ("requiressl=1", {"sslmode": "require"}),
        ("sslrootcert=system", {"sslrootcert": "system", "sslmode": "verify-full"}),
    ],
)
def test_no_wish_for_tls_is_lost(query: str, tls: dict[str, str]) -> None:
    assert read_postgres_url(f"postgresql://h?{query}").tls == tls


@pytest.mark.parametrize(
    ("query", "settings"),
    [
        ("application_name=mine", {"application_name": "mine"}),
        ("fallback_application_name=mine", {"application_name": "mine"}),
        ("schema=public", {}),
        ("schema=My%22own", {"search_path": '"My""own"'}),
        (
            "options=-c%20statement_timeout=5s&search_path=a,b",
            {"options": "-c statement_timeout=5s", "search_path": "a,b"},
        ),
        ("pgbouncer=true&connection_limit=1&client_encoding=latin1", {}),
    ],
)
def test_settings_of_the_server_are_handed_on(query: str, settings: dict[str, str]) -> None:
    assert read_postgres_url(f"postgresql://h?{query}").settings == settings


def test_words_of_others_for_certificates_are_taken() -> None:
    assert read_redis_url(REDIS["Celery"]).options == {"ssl_cert_reqs": "none"}
    assert read_redis_url("redis://h:1/2?socket_timeout=3&db=4").options == {"socket_timeout": 3.0, "db": 4}


class TestVariablesOfLibpq:
    def test_they_give_what_the_url_leaves_out(self) -> None:
        given = {
            "PGHOST": "a,b",
            "PGPORT": "1",
            "PGUSER": "u",
            "PGDATABASE": "db",
            "PGSSLMODE": "require",
            "PGTARGETSESSIONATTRS": "primary",
        }
        filled, taken = complete(read_postgres_url("postgresql://"), given)
        assert filled[:5] == (["a", "b"], [1, 1], "u", None, "db")
        assert (filled.tls, filled.connection) == ({"sslmode": "require"}, {"target_session_attrs": "primary"})
        assert taken == sorted(given)

    def test_what_the_url_says_stays(self) -> None:
        url = read_postgres_url("postgresql://u:pw@h:2/db?sslmode=disable&target_session_attrs=any")
        names = ["PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGPASSFILE", "PGDATABASE", "PGSSLMODE"]
        assert complete(url, dict.fromkeys([*names, "PGTARGETSESSIONATTRS"], "nonsense")) == (url, [])

    def test_a_port_stands_for_hosts_that_name_none(self) -> None:
        filled, taken = complete(read_postgres_url("postgresql://u@a,b/db"), {"PGPORT": "6432"})
        assert (filled.hosts, filled.ports, taken) == (["a", "b"], [6432, 6432], ["PGPORT"])

    @pytest.mark.parametrize(
        ("variable", "value", "reason"),
        [
            ("PGSSLMODE", "perhaps", "its sslmode is not disable"),
            ("PGPORT", "tcp://10.0.0.5:5432", "its port is not a port"),
            ("PGSSLROOTCERT", "/no/such/file", "its sslrootcert=/no/such/file cannot be read"),
            ("PGHOST", "a,,b", "one of its hosts is empty"),
        ],
    )
    def test_one_that_cannot_be_is_named(self, variable: str, value: str, reason: str) -> None:
        with pytest.raises(ValueError, match=f"^{variable} of the environment: {reason}"):
            complete(read_postgres_url("postgresql://u:pw@/db"), {variable: value})


def test_any_url_is_read_or_refused_in_a_sentence() -> None:
    rng = random.Random(13)
    letters = string.ascii_letters + string.digits + "@:/?#&=%[],.+-_'\" \\\n\0é"
    pieces = [*POSTGRES.values(), *REDIS.values(), *(url for url, _ in REFUSED)]
    taken = 0
    for _ in range(4000):
        url = rng.choice(pieces)
        for _ in range(rng.randint(1, 6)):
            i = rng.randrange(len(url) + 1)
            url = (
                url[:i]
                + rng.choice([rng.choice(letters), quote(rng.choice(letters)), ""])
                + url[i + rng.randint(0, 2) :]
            )
        for read in (read_redis_url, read_postgres_url):
            try:
                read(url)
            except ValueError as error:
                sentence = str(error)
                taken += not sentence.isprintable()
    assert taken == 0


def test_a_url_that_is_not_needed_is_not_looked_at() -> None:
    given = {"REDIS_URL": "redis://h", "DATABASE_URL": "mysql://h", "DATABASE_URL_FILE": "/nowhere"}
    assert load_settings(given, need=["redis"], dotenv=Path("/nowhere")).database_url == SecretStr("")
