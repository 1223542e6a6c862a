"""The wheel stands alone: what is in it, what it needs, and that it imports nothing else."""

import re
import shutil
import subprocess
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that nothing is left beside the source."""
    work = tmp_path_factory.mktemp("wheel")
    ignored = shutil.ignore_patterns("tests", "build", "*.egg-info", "__pycache__")
    shutil.copytree(SOURCE, work / "verifier", ignore=ignored)
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        work,
        work / "verifier",
    ]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = work.glob("*.whl")
    return wheel


def test_it_needs_ranges_of_three_libraries_and_nothing_of_ours(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        headers = message_from_bytes(archive.read(metadata))
    always = [each for each in headers.get_all("Requires-Dist", []) if "extra ==" not in each]
    assert sorted(always) == ["cryptography>=43", "httpx2<3,>=2.0", "joserfc<2,>=1.3"]
    assert headers["Requires-Python"] == ">=3.10"
    assert (headers["Name"], headers["Version"]) == ("identity-verifier", "0.1.0")
    assert headers["License-Expression"] == "Apache-2.0"


def test_it_holds_every_module_the_licence_and_the_typing_mark(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    modules = {f"identity_verifier/{path.name}" for path in (SOURCE / "identity_verifier").glob("*.py")}
    assert modules <= names
    assert "identity_verifier/py.typed" in names
    assert any(name.endswith("/LICENSE") for name in names)


def test_unpacked_alone_it_imports_and_brings_nothing_of_ours(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    program = "import sys, identity_verifier; print(identity_verifier.__file__, *sorted(sys.modules))"
    # -S -I would hide joserfc as well; a bare PYTHONPATH keeps the checkout out and the dependencies in.
    command = [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{program}"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    origin, *modules = printed.split()
    assert origin.startswith(str(tmp_path))
    roots = {re.split(r"\.", module)[0] for module in modules}
    assert not roots & {"identity", "scim", "workers", "config", "flask", "sqlalchemy", "celery", "authlib"}
