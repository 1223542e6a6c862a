"""Bare environments: made by uv in a second each, from wheels that are built once a run."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = "uv==0.13.9"
IGNORED = shutil.ignore_patterns(".*", "build", "*.egg-info", "__pycache__", "node_modules")


def run(*command: str | Path, **more: object) -> str:
    """Run a program to its end; return what it printed. Raises ``AssertionError`` with all that it said."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, **more)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return str(done.stdout)


def clean_environment(**more: str) -> dict[str, str]:
    """Return the environment without settings of ours, and without a way to the source tree."""
    left_out = ("IDENTITY_", "PYTHONPATH", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if not name.startswith(left_out)} | more


def find_uv(folder: Path) -> Path:
    """Return uv, installed into ``folder`` where this machine has none."""
    if found := shutil.which("uv"):
        return Path(found)
    run(sys.executable, "-m", "venv", folder)
    run(folder / "bin/python", "-m", "pip", "install", "--quiet", UV)
    return folder / "bin/uv"


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes environments below ``folder``."""

    uv: Path
    folder: Path

    def environment(self, name: str, *asked: str | Path, python: str = sys.executable, **more: str) -> "Environment":
        """Return an environment with what was asked for, and with what that requires."""
        place = self.folder / name
        run(self.uv, "venv", "--quiet", "--python", python, place)
        options = [word for key, value in more.items() for word in (f"--{key.replace('_', '-')}", value)]
        run(self.uv, "pip", "install", "--quiet", "--python", place / "bin/python", *options, *asked)
        return Environment(place)

    def wheel(self, source: Path, name: str) -> Path:
        """Build a wheel from a copy of a source tree, so that nothing is left beside it."""
        copy, out = self.folder / f"{name}-source", self.folder / f"{name}-wheel"
        shutil.copytree(source, copy, ignore=IGNORED)
        run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, copy)
        (wheel,) = out.glob("*.whl")
        return wheel


@dataclass(frozen=True, slots=True)
class Environment:
    """One of them."""

    place: Path

    @property
    def python(self) -> Path:
        return self.place / "bin/python"

    @property
    def identity(self) -> Path:
        """The command, as pip has made it."""
        return self.place / "bin/identity"
