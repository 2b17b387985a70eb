"""Rules of the code that import-linter cannot check; those that it can check stand in pyproject.toml."""

import ast
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import pytest

from tests.support.sources import ROOT, modules
from worker.core.events import EVENTS
from worker.core.keys import CATALOG_CHANNEL, GROUP

MAX_MODULE_LINES = 300
MAX_FUNCTION_LINES = 40
MAX_PARAMETERS = 6

IMPURE = {"asyncio", "datetime", "logging", "os", "random", "secrets", "socket", "sys", "threading", "time"}

WIRE_NAMES = {
    "chunk_ids",
    "entry_id",
    "expires_at",
    "left_out",
    "probabilities",
    "reply_to",
    "request_id",
    "weights_source",
}
"""Fields of requests and results, without those whose names also mean something elsewhere (a column, a log field)."""

BROAD = {
    "worker/adapters/audio_files.py": "of a broken file a library may raise anything, which is what is wrong with it",
    "worker/adapters/postgres/client.py": "whatever is raised while connecting is of the surroundings, and tried again",
    "worker/adapters/redis/connection_class.py": "the same",
    "worker/service/app.py": "the last words of a process that a bug ends",
    "worker/logs/emit.py": "a value that cannot be shown must not fail what was told",
    "worker/service/supervisor.py": "a bug that ends a loop is told of, and the loop is begun anew",
    "worker/service/adjuster.py": "a bug in one rule is told of, and neither other rules nor the draws wait for it",
    "worker/service/settler.py": "a bug in a draw leaves its requests pending, and the worker lives on",
}
"""Where everything may be caught, once, and why."""

UNSAFE_MODULES = {"dill", "marshal", "pickle", "shelve"}
UNSAFE_CALLS = {"__import__", "compile", "eval", "exec", "os.system", "os.popen"}
"""What runs, as code, a text that may have come from elsewhere."""

Node = ast.expr | ast.stmt | ast.excepthandler
Find = Callable[[ast.Module], Iterator[Node]]
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Law:
    """A law: what must not stand where.

    Attributes:
        find: Finds breaches in a module.
        breach: Code that has to be found.
        within: Start of the paths that the law is for.
        but: Start of the paths that it is not for.
    """

    find: Find
    breach: str
    within: str = "worker/"
    but: str | None = None

    def breaches(self) -> Iterator[str]:
        for path, tree in modules().items():
            if path.startswith(self.within) and not (self.but and path.startswith(self.but)):
                for node in self.find(tree):
                    yield f"{path}:{node.lineno}: {ast.unparse(node)[:100]}"


@cache
def nodes(tree: ast.Module) -> Sequence[ast.AST]:
    """Return all nodes of a module, which each law looks at anew."""
    return tuple(ast.walk(tree))


def imported(node: ast.AST) -> set[str]:
    """Return the top-level packages that a statement imports."""
    if isinstance(node, ast.Import):
        return {alias.name.partition(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom) and node.module:
        return {node.module.partition(".")[0]}
    return set()


def importing(packages: set[str]) -> Find:
    def find(tree: ast.Module) -> Iterator[Node]:
        for node in nodes(tree):
            if isinstance(node, ast.stmt) and imported(node) & packages:
                yield node

    return find


def environment_reads(tree: ast.Module) -> Iterator[Node]:
    names = {"environ", "environb", "getenv", "getenvb"}
    for node in nodes(tree):
        if isinstance(node, ast.Attribute) and node.attr in names:
            yield node
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            yield from (node for alias in node.names if alias.name in names)


@cache
def strings(tree: ast.Module) -> Sequence[tuple[ast.Constant, str]]:
    """Return the texts of a module, parts of f-strings included, docstrings left out."""
    prose = {id(node.value) for node in nodes(tree) if isinstance(node, ast.Expr)}
    return [
        (node, node.value.decode("latin-1") if isinstance(node.value, bytes) else node.value)
        for node in nodes(tree)
        if isinstance(node, ast.Constant) and id(node) not in prose and isinstance(node.value, str | bytes)
    ]


def spelling(is_name: Callable[[str], object]) -> Find:
    def find(tree: ast.Module) -> Iterator[Node]:
        yield from (node for node, text in strings(tree) if is_name(text))

    return find


@cache
def key_pattern() -> re.Pattern[str]:
    """Make the pattern of names in Redis and PostgreSQL out of the module that spells them."""
    spelled = (text for _, text in strings(modules()["worker/core/keys.py"]))
    parts = {text.rstrip("*") for text in spelled if re.fullmatch(r":\w[\w:]*\*?", text)}
    assert {":sample:requests", ":category:weights", ":worker:"} <= parts
    return re.compile("|".join([*parts, rf"\b{GROUP}\b", rf"\b{CATALOG_CHANNEL}\b"]))


def exception_classes(tree: ast.Module) -> Iterator[Node]:
    for node in nodes(tree):
        bases = node.bases if isinstance(node, ast.ClassDef) else []
        names = [ast.unparse(base).rpartition(".")[2] for base in bases]
        if isinstance(node, ast.ClassDef) and any(name.endswith(("Error", "Exception")) for name in names):
            yield node


def broad_handlers(tree: ast.Module) -> Iterator[Node]:
    for node in nodes(tree):
        if isinstance(node, ast.ExceptHandler) and re.search(
            r"\b(Base)?Exception\b", ast.unparse(node.type or ast.Name("Exception"))
        ):
            yield node


def functions(tree: ast.Module) -> Iterator[tuple[Function, bool]]:
    """Yield the functions of a module, and whether they are a method with a `self`."""
    for parent in nodes(tree):
        for node in ast.iter_child_nodes(parent):
            if isinstance(node, Function):
                is_static = any(ast.unparse(name) == "staticmethod" for name in node.decorator_list)
                yield node, isinstance(parent, ast.ClassDef) and not is_static


def long_functions(tree: ast.Module) -> Iterator[Node]:
    for function, _ in functions(tree):
        docstring = ast.get_docstring(function, clean=False)
        lines = (function.end_lineno or 0) - function.lineno + 1
        if lines - (docstring.count("\n") + 1 if docstring else 0) > MAX_FUNCTION_LINES:
            yield function


def crowded_functions(tree: ast.Module) -> Iterator[Node]:
    """Find too many parameters, counted as ruff's PLR0913 does."""
    for function, is_method in functions(tree):
        parameters = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        count = sum(not parameter.arg.startswith("_") for parameter in parameters) - is_method
        if count > MAX_PARAMETERS:
            yield function


def unsafe_calls(tree: ast.Module) -> Iterator[Node]:
    """Find what runs text as code, and what hands a line to a shell."""
    for node in nodes(tree):
        if isinstance(node, ast.Call):
            is_shell = any(word.arg == "shell" for word in node.keywords)
            if ast.unparse(node.func) in UNSAFE_CALLS or is_shell:
                yield node


def built_scripts(tree: ast.Module) -> Iterator[Node]:
    """Find scripts for Redis that do not go by a name: their text may be put together out of data."""
    for node in nodes(tree):
        words = node.args if isinstance(node, ast.Call) else node.elts if isinstance(node, ast.Tuple) else []
        for command, script in itertools.pairwise(words):
            if isinstance(command, ast.Constant) and command.value in {"EVAL", "EVALSHA", "FCALL", "SCRIPT LOAD"}:
                yield from [] if isinstance(script, ast.Name) else [script]
        if isinstance(node, ast.Attribute) and node.attr in {"eval", "evalsha", "register_script", "script_load"}:
            yield node


def named_scripts(tree: ast.Module) -> set[str]:
    """Name what scripts are run by: constants of the module, or parameters."""
    return {
        script.id
        for node in nodes(tree)
        if isinstance(node, ast.Call)
        for command, script in itertools.pairwise(node.args)
        if isinstance(command, ast.Constant) and command.value == "EVAL" and isinstance(script, ast.Name)
    }


def losing_cancellations(tree: ast.Module) -> Iterator[Node]:
    """Find `asyncio.wait_for`, which can lose a cancellation in Python 3.11 (CPython issue 86296)."""
    for node in nodes(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "asyncio.wait_for":
            yield node
        if isinstance(node, ast.ImportFrom) and node.module == "asyncio":
            yield from (node for alias in node.names if alias.name == "wait_for")


LAWS = {
    "the core has no clock, no chance, no log, no system": Law(
        importing(IMPURE), "from time import monotonic", within="worker/core/"
    ),
    "only settings reads the environment": Law(
        environment_reads, "import os\nos.environ['REDIS_URL']", but="worker/settings/"
    ),
    "only logs touches logging": Law(importing({"logging"}), "import logging", but="worker/logs/emit.py"),
    "only core.keys spells a name in Redis": Law(
        spelling(lambda text: key_pattern().search(text)), "key = f'{prefix}:sample:results'", but="worker/core/keys.py"
    ),
    "only core.wire spells a field of requests and results": Law(
        spelling(WIRE_NAMES.__contains__), "fields[b'reply_to']", but="worker/core/wire/"
    ),
    "only core.events names a log event": Law(
        spelling(EVENTS.__contains__), "log('worker.ready')", but="worker/core/events"
    ),
    "only errors defines exceptions": Law(
        exception_classes, "class LostError(errors.RedisError): ...", but="worker/errors.py"
    ),
    "no text is run as code": Law(unsafe_calls, "subprocess.run(line, shell=True)"),
    "no cancellation is lost": Law(losing_cancellations, "asyncio.wait_for(work, 1)"),
    "nothing is unpickled": Law(importing(UNSAFE_MODULES), "import pickle"),
    "no script for Redis is put together": Law(built_scripts, "call('EVAL', f'return {x}', 0)"),
    "no function is long": Law(long_functions, "def f():\n" + "    pass\n" * MAX_FUNCTION_LINES),
    "no function takes many parameters": Law(
        # A verb's options are its parameters: pyproject.toml exempts the same folder from PLR0913.
        crowded_functions,
        "def f(a, b, c, d, /, e, *, g, h): ...",
        but="worker/cli/",
    ),
}


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_law_is_kept(law: Law) -> None:
    breaches = list(law.breaches())
    assert not breaches, "\n".join(breaches)


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_breach_of_a_law_is_seen(law: Law) -> None:
    assert list(law.find(ast.parse(law.breach)))


def test_everything_is_caught_only_where_there_is_a_reason() -> None:
    found = Counter(path for path, tree in modules().items() for _ in broad_handlers(tree))
    assert found == Counter(BROAD.keys())


@pytest.mark.parametrize("caught", ["", " Exception", " (ValueError, BaseException)"])
def test_broad_handler_is_seen(caught: str) -> None:
    assert list(broad_handlers(ast.parse(f"try: ...\nexcept{caught}: ...")))


def test_no_module_is_long() -> None:
    lengths = {path: len((ROOT / path).read_text(encoding="utf-8").splitlines()) for path in modules()}
    assert {path: lines for path, lines in lengths.items() if lines > MAX_MODULE_LINES} == {}


def test_names_that_belong_to_the_wire_format_are_spelled_there() -> None:
    trees = [tree for path, tree in modules().items() if path.startswith("worker/core/wire/")]
    assert {text for tree in trees for _, text in strings(tree)} >= WIRE_NAMES


def test_scripts_are_files_and_run_no_text_of_their_own() -> None:
    scripts = {path: names for path, tree in modules().items() if (names := named_scripts(tree))}
    assert scripts
    assert {path for path in scripts if "read_script(" not in (ROOT / path).read_text(encoding="utf-8")} == set()
    runs_text = re.compile(r"\b(load|loadstring|dofile|loadfile|setfenv|require)\b *\(")
    for path in ROOT.glob("worker/**/*.lua"):
        assert not runs_text.search(path.read_text(encoding="utf-8")), path


def test_scripts_get_their_names_from_outside() -> None:
    texts = {path.name: path.read_text(encoding="utf-8") for path in ROOT.glob("worker/**/*.lua")}
    assert texts
    assert {name: found[0] for name, text in texts.items() if (found := key_pattern().search(text))} == {}
