"""The verifier's own tests on every Python that is here, with the first and the newest versions that it allows."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from environments import IGNORED, ROOT, Maker, clean_environment, find_uv, run

SUPPORTED = ("3.10", "3.11", "3.12", "3.13", "3.14")
"""`requires-python` and the classifiers of verifier/pyproject.toml."""

PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"


def candidates() -> Iterator[Path]:
    """Yield every interpreter that may be there: this one, those on the PATH, those of pyenv."""
    yield Path(sys.executable)
    yield from (Path(found) for version in SUPPORTED if (found := shutil.which(f"python{version}")))
    yield from (found for version in SUPPORTED for found in sorted(PYENV.glob(f"{version}.*/bin/python")))


def interpreters() -> dict[str, str]:
    """Return one working interpreter of each supported version."""
    found: dict[str, str] = {}
    for path in candidates():
        ask = [str(path), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        said = subprocess.run(ask, capture_output=True, text=True, check=False).stdout.strip()
        if said in SUPPORTED:
            found.setdefault(said, str(path))
    return found


FOUND = interpreters()
RUNS = [(version, "highest") for version in sorted(FOUND, key=SUPPORTED.index)]
RUNS += [(min(FOUND, key=SUPPORTED.index), "lowest-direct")]
"""The first versions are tried on the oldest Python: later ones have no wheels of them."""


@pytest.fixture(scope="session")
def maker(tmp_path_factory: pytest.TempPathFactory) -> Maker:
    folder = tmp_path_factory.mktemp("environments")
    return Maker(find_uv(folder / "uv"), folder)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("version", "resolution"), RUNS)
def test_the_verifier_passes_its_tests(maker: Maker, version: str, resolution: str) -> None:
    source = maker.folder / f"source-{version}-{resolution}"
    shutil.copytree(ROOT / "verifier", source, ignore=IGNORED)
    environment = maker.environment(
        f"python{version}-{resolution}", f"{source}[test]", python=FOUND[version], resolution=resolution
    )
    shutil.rmtree(source / "identity_verifier")  # what is tested is what was installed
    options = ["-q", "--import-mode=importlib", "-o", "pythonpath=tests", "--timeout", "300", "--ignore", WHEEL]
    told = run(environment.python, "-m", "pytest", *options, "tests", cwd=source, env=clean_environment())
    assert " passed" in told
    assert " skipped" not in told


WHEEL = "tests/test_wheel.py"
"""It builds the wheel from the source, which is not there; the suite of the whole project runs it."""
