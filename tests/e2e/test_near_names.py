"""A typed name that nothing has is named where it was typed, with the name that was probably meant."""

import json

import pytest

from tests.e2e.conftest import Run, Settings, StartWorker
from tests.support.servers import execute

_NOTHING = "dataset podcast has no weights of its own: the global ones are in force for it; did you mean podcasts?"
_MEANT = "did you mean"


@pytest.fixture
def library(settings: Settings) -> None:
    rows = "select 'voice', 'READY', i || '.wav', 'val' from generate_series(1, 9) as i"
    execute(settings["DATABASE_URL"], f"insert into audio_chunks (category, status, path, split) {rows}")
    execute(settings["DATABASE_URL"], "insert into audio_chunks (category, status) values ('voice', 'READY')")


@pytest.fixture
def named(run: Run) -> None:
    """Name a dataset, a preset, a session, an exclusion list and a rule."""
    made = [
        run("weights", "set", "--dataset", "podcasts", "voice=1"),
        run("weights", "preset", "save", "mine", "voice=1"),
        run("session", "limit", "run-7", "8"),
        run("exclude", "add", "heldout", "1"),
        run("adjust", "set", "cap", "times=8", "--dataset", "podcasts"),
    ]
    assert [one.returncode for one in made] == [0] * len(made), made


@pytest.mark.any_redis
@pytest.mark.usefixtures("named")
def test_a_name_that_nothing_has_is_named_with_a_near_one(run: Run) -> None:
    verbs: list[tuple[tuple[str, ...], int, str]] = [
        (("weights", "show", "--dataset", "podcast"), 0, _NOTHING),
        (("weights", "history", "--dataset", "podcast"), 0, "no change of dataset podcast is in the history"),
        (("weights", "history", "--preset", "mime"), 0, "no change of preset mime is in the history"),
        (("weights", "remove", "--dataset", "podcast"), 0, "dataset podcast had no weights of its own"),
        (("weights", "preset", "show", "mime"), 2, "preset 'mime' is not known"),
        (("weights", "preset", "apply", "voice-hevy"), 2, "preset 'voice-hevy' is not known"),
        (("weights", "preset", "remove", "mime"), 2, "preset 'mime' is not stored"),
        (("adjust", "show", "--dataset", "podcast"), 0, "no rule is set for dataset podcast"),
        (("adjust", "preview", "--dataset", "podcast"), 2, "no rule is set for dataset podcast"),
        (("adjust", "freeze", "--dataset", "podcast"), 2, "no rule is set for dataset podcast"),
        (("adjust", "resume", "--dataset", "podcast"), 2, "no rule is set for dataset podcast"),
        (("adjust", "off", "--dataset", "podcast"), 2, "no rule is set for dataset podcast"),
        (("adjust", "rollback", "--dataset", "podcast"), 2, "no rule is set for dataset podcast"),
        (("adjust", "history", "--dataset", "podcast"), 0, "no step of a rule of dataset podcast is in the history"),
        (("session", "show", "run-8"), 1, "there is no session 'run-8'"),
        (("session", "release", "run-8"), 0, "there is no session 'run-8'"),
        (("session", "end", "run-8"), 0, "there is no session 'run-8'"),
        (("session", "limit", "run-8", "0"), 0, "there is no session 'run-8', and so no limit"),
        (("stats", "--session", "run-8"), 0, "there is no session 'run-8'"),
        (("exclude", "show", "heldot"), 1, "there is no exclusion list heldot"),
        (("exclude", "remove", "heldot", "1"), 1, "there is no exclusion list heldot"),
        (("exclude", "clear", "heldot"), 1, "there is no exclusion list heldot"),
        (("schema", "evnts"), 2, "there is no schema of 'evnts'"),
        # what makes something new says so, if something near is there
        (("weights", "set", "--dataset", "podcast", "voice=1"), 0, "dataset podcast had no weights of its own before"),
        (("exclude", "add", "heldot", "1"), 0, "heldot is a new list"),
        (("session", "limit", "run-8", "8"), 0, "session 'run-8' is new: no training has asked for it yet"),
    ]
    for words, status, said in verbs:
        ended = run(*words)
        assert ended.returncode == status, (words, ended)
        assert said in ended.stdout + ended.stderr, (words, ended)
        assert _MEANT in ended.stdout + ended.stderr, (words, ended)


@pytest.mark.any_redis
@pytest.mark.usefixtures("named")
def test_a_name_that_is_far_from_all_others_asks_for_none(run: Run) -> None:
    for words in (
        ("weights", "show", "--dataset", "xyz"),
        ("session", "show", "xyz"),
        ("exclude", "add", "xyz", "1"),
        ("weights", "set", "--dataset", "xyz", "voice=1"),
        ("adjust", "off", "--dataset", "qqq"),
    ):
        ended = run(*words)
        assert _MEANT not in ended.stdout + ended.stderr, (words, ended)


@pytest.mark.any_redis
@pytest.mark.usefixtures("library", "named")
def test_a_request_by_names_that_nothing_has_says_so(run: Run, start_worker: StartWorker) -> None:
    start_worker()
    for words, said in (
        (("--dataset", "podcast"), _NOTHING),
        (("--exclude", "heldot"), "nothing has the name heldot; did you mean heldout?"),
        (("--preset", "mime"), "nothing has the name mime; did you mean mine?"),
        (("--category", "voic"), "nothing has the name voic; did you mean voice?"),
        (
            ("--field", "categroy=voice"),
            "field 'categroy' is ignored: there is none of this name; did you mean category?",
        ),
    ):
        ended = run("sample", *words)
        assert said in ended.stderr, (words, ended)
        assert run("sample", *words, "--json").stderr == ended.stderr
    assert run("sample", "--dataset", "podcasts").stderr == ""
    assert json.loads(run("sample", "--dataset", "podcast", "--json").stdout)["weights_source"] in {"redis", "default"}


@pytest.mark.any_redis
@pytest.mark.usefixtures("library")
def test_a_category_or_a_split_that_no_chunk_has_is_named(run: Run) -> None:
    for words, status, said in (
        (("export", "-", "--category", "voic"), 0, "no READY chunk is of category voic; did you mean voice?"),
        (("export", "-", "--category", "voice", "--category", "voic"), 0, "no READY chunk is of category voic"),
        (("export", "-", "--split", "vall"), 0, "no READY chunk is of split vall; did you mean val?"),
        (("remove", "--category", "voic", "--yes"), 1, "no chunk is of category voic; did you mean voice?"),
    ):
        ended = run("catalog", *words)
        assert (ended.returncode, said in ended.stderr) == (status, True), (words, ended)
