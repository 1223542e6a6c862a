"""``identity doctor`` beside a real `identity dev`: it needs no settings, and says when there is nothing to look at."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.config.test_dev import ROOT, dev, folder, started_all, wait_until

__all__ = ["folder"]  # a fixture

SECONDS = 60


def doctor(data: Path, **environment: str) -> tuple[int, dict[str, dict[str, Any]]]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("IDENTITY_")}
    done = subprocess.run(
        [sys.executable, "-m", "cli", "doctor", "--json", "--data", str(data)],
        cwd=ROOT, env=clean | environment, capture_output=True, text=True, check=False, timeout=SECONDS,
    )  # fmt: skip
    assert done.stderr == ""
    return done.returncode, {found["name"]: found for found in json.loads(done.stdout)["findings"]}


def test_the_installation_of_a_folder_is_well_while_it_runs_and_found_when_it_does_not(folder: Path) -> None:
    with dev(folder) as run:
        wait_until(lambda: started_all(run), seconds=SECONDS)
        for exported in ({}, {"IDENTITY_ADMIN_TOKEN": str(run.said["admin_token"])}):
            _, findings = doctor(folder, **exported)
            ill = {name: found["advice"] for name, found in findings.items() if not found["is_well"]}
            assert ill.keys() <= {"disk"}  # which is the machine's own
            assert findings["web"]["advice"] == f"{run.said['base_url']}/readyz"
            assert {"worker", "relay", "broker", "keys", "queue", "outbox"} <= findings.keys()
        assert str(run.said["admin_token"]) not in (folder / "running.toml").read_text()
    status, findings = doctor(folder)
    assert (status, findings["database"]["is_well"]) == (1, False)
    assert findings["database"]["advice"].endswith(f"start `identity dev --data {folder}`")
