"""The shape of the house: small files, small functions, honest names, arrows that only go down."""

import ast
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from tests.house.sources import ROOMS, ROOT, sources

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60

LONG_FILES: dict[str, int] = {
    "migrations/versions/20261124_create_foundation.py": 420,  # the first schema, as PostgreSQL prints it
}
"""Files that may be longer, and how long. This list may only shrink."""

FORBIDDEN = frozenset(
    {"manager", "managers", "helper", "helpers", "util", "utils", "common", "base", "misc", "service", "services"}
    | {"handler", "handlers", "processor", "info", "data"}
)
CAMEL = re.compile(r"[A-Z][a-z0-9]*")


def test_no_file_is_longer_than_it_should_be() -> None:
    long = {source.path: source.lines for source in sources() if source.lines > FILE_LINES_MAX}
    assert {path: lines for path, lines in long.items() if lines > LONG_FILES.get(path, 0)} == {}
    assert LONG_FILES.keys() <= long.keys(), "a file has become short enough: take it off the list"


def test_no_function_is_longer_than_it_should_be() -> None:
    found = {
        f"{source.path}: {function.name}": length
        for source in sources()
        for function in source.functions()
        if (length := (function.end_lineno or 0) - function.lineno + 1) > FUNCTION_LINES_MAX
    }
    assert found == {}


def test_no_file_or_folder_has_a_name_that_says_nothing() -> None:
    paths = {Path(source.path) for source in sources()}
    words = {(str(path), word) for path in paths for part in path.with_suffix("").parts for word in part.split("_")}
    assert {path for path, word in words if word in FORBIDDEN and "service_account" not in path} == set()


def test_no_class_has_a_suffix_that_says_nothing() -> None:
    found = {
        node.name
        for source in sources(*ROOMS)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ClassDef) and (CAMEL.findall(node.name) or [""])[-1].lower() in FORBIDDEN
    }
    assert found == set()


def test_no_file_is_empty_but_those_that_make_a_folder_a_package() -> None:
    empty = {source.path for source in sources() if not source.text.strip()}
    assert {path for path in empty if not path.endswith("__init__.py")} == set()


@pytest.mark.parametrize(
    "module", [f"benchmarks.{file.stem}" for file in sorted((ROOT / "benchmarks").glob("[a-z]*.py"))]
)
def test_every_benchmark_imports_what_is_there(module: str) -> None:
    import_module(module)


def test_every_arrow_goes_down() -> None:
    program = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    assert program, "import-linter is not installed"
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3_000:]


def test_the_model_stands_on_the_standard_library_alone() -> None:
    impure = {"time", "random", "secrets", "os", "socket", "pathlib", "subprocess", "threading", "logging"}
    for source in sources("identity/model"):
        for name in source.imports():
            root = name.split(".")[0]
            assert root in sys.stdlib_module_names or name.startswith("identity.model"), (source.path, name)
            assert root not in impure, (source.path, name)


VERIFIER_STANDS_ON = {"identity_verifier", "httpx2", "joserfc", "cryptography"}  # the last is what joserfc stands on


def test_the_verifier_imports_nothing_of_the_application() -> None:
    for source in sources("verifier/identity_verifier"):
        for name in source.imports():
            assert name.split(".")[0] in {*sys.stdlib_module_names, *VERIFIER_STANDS_ON}, (source.path, name)


OURS = {"identity", "scim", "workers", "server", "config", "cli", "dev", "migrations", "tests", "benchmarks", "fuzz"}


def test_an_example_imports_nothing_of_ours_but_the_verifier() -> None:
    imported = [(source.path, name) for source in sources("examples") for name in source.imports()]
    assert any(name.startswith("identity_verifier.") for _, name in imported)
    assert [(path, name) for path, name in imported if name.split(".")[0] in OURS] == []


def test_authlibs_deprecated_jose_is_never_imported() -> None:
    imported = [(source.path, name) for source in sources() for name in source.imports()]
    assert [(path, name) for path, name in imported if name.startswith("authlib.jose")] == []


CLOCKS_AND_DICE = re.compile(
    r"(?:\w+\.)?(?:datetime|date)\.(?:now|utcnow|today)|time\.(?:time|time_ns)|random\.\w+|secrets\.\w+|os\.urandom"
    r"|(?:uuid\.)?uuid[1467]"
)
EDGES = {
    "identity/edge/runtime.py": "the wall clock, new secrets",
    "identity/edge/request.py": "the ids of requests",
    "identity/edge/early_refusals.py": "the ids of requests that are refused unread",
    "identity/store/transaction.py": "the ids of new rows, which a database sequence would give",
    "identity/actions/envelope_encryption.py": "the nonce of a seal, which nobody may choose",
    "verifier/identity_verifier/verifier.py": "the clock of whoever verifies, unless one is given",
}


def test_time_and_chance_come_in_at_the_edges_alone() -> None:
    found = {
        source.path: ast.unparse(node.func)
        for source in sources("identity", "scim", "workers", "verifier/identity_verifier")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and CLOCKS_AND_DICE.fullmatch(ast.unparse(node.func))
    }
    assert found.keys() == EDGES.keys(), found


EVENT_TYPE = re.compile(r"[a-z]+(?:_[a-z]+)*\.[a-z]+(?:_[a-z]+)*")
PARTICIPLE = re.compile(r"[a-z_]*\.(?:[a-z_]+_)?[a-z]+ed")


def test_every_event_type_is_a_noun_and_a_past_participle() -> None:
    found = {
        node.value
        for source in sources("identity/actions")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and EVENT_TYPE.fullmatch(node.value)
    }
    assert len(found) > 15
    assert {type_ for type_ in found if not PARTICIPLE.fullmatch(type_)} == set()
