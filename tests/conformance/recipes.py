"""The code of docs/libraries.md, as it stands there, and how it is run in the environment of its library."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "libraries.md"
HERE = Path(__file__).parent
ENVIRONMENTS = ROOT / ".venv" / "clients"
NODE_MODULES = HERE / "node" / "node_modules"
INSTALL = "run `make clients`"
TIMEOUT_S = 60


def recipe(heading: str, language: str = "python") -> str:
    """Return the one block of code in a section of the page."""
    [section] = re.findall(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    [block] = re.findall(rf"^```{language}[^\n]*\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    found: str = block
    return found


def headings() -> set[str]:
    """Return every section of the page that has code."""
    sections = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)
    return {section.splitlines()[0] for section in sections if "\n```" in section}


def python_of(name: str) -> str:
    """Return the Python of an environment with client libraries. Skips where `make clients` did not make one."""
    found = ENVIRONMENTS / name / "bin" / "python"
    if not found.exists():
        pytest.skip(f"the client libraries of {name} are not installed: {INSTALL}")
    return str(found)


def run_python(name: str, code: str, call: str, *given: Any, **named: Any) -> Any:
    """Run one function of a recipe in an environment. Raises ``RecipeError``."""
    asked = {"recipe": code, "call": call, "given": given, "named": named}
    return _answer([python_of(name), str(HERE / "clients" / "call.py")], asked)


def run_node(node: str, folder: Path, code: str, call: str, given: dict[str, Any]) -> Any:
    """Run one function of a recipe with Node.js, in a folder of its own. Raises ``RecipeError``."""
    module = folder / "recipe.mjs"
    module.write_text(code)
    modules = folder / "node_modules"
    if not modules.exists():
        modules.symlink_to(NODE_MODULES)
    asked = {"module": str(module), "call": call, "given": given}
    return _answer([node, str(HERE / "node" / "call.mjs")], asked)


class RecipeError(Exception):
    """A recipe raised; this is what it said."""


def _answer(command: list[str], asked: dict[str, Any]) -> Any:
    done = subprocess.run(
        command, input=json.dumps(asked), capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    found = json.loads(done.stdout.splitlines()[-1])
    if "error" in found:
        raise RecipeError(found["error"])
    return found["answer"]
