"""``python -m fuzz [RUNS] [TARGET ...]``: so many inputs in all, shared out among targets; exits with 1 for a finding.

Corpus and findings are kept in ``.data/fuzz``, so that a later run goes on from what an earlier one has reached.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(".data/fuzz")
SHARES = {"filter": 20, "path": 20, "patch": 25, "body": 10, "bulk": 8, "cursor": 7, "list": 10}
"""Hundredths of the inputs: what has an oracle, and changes what is stored, gets most."""


def main(arguments: list[str]) -> int:
    runs = int(arguments[0]) if arguments else 20_000
    targets = arguments[1:] or list(SHARES)
    FOLDER.mkdir(parents=True, exist_ok=True)
    whole = sum(SHARES[target] for target in targets)
    print(f"{'target':8} {'inputs':>9} {'per s':>7} {'differences':>12} {'exceptions':>11}")
    tallies = [fuzzed(target, max(1, runs * SHARES[target] // whole)) for target in targets]
    found = sum(tally["differences"] + tally["exceptions"] for tally in tallies)
    print(f"{'in all':8} {sum(tally['inputs'] for tally in tallies):9,} {'':7} {found:12} found")
    return 1 if found else 0


def fuzzed(target: str, runs: int) -> dict[str, Any]:
    """Run one target in a process of its own, for libFuzzer ends the one it is in."""
    report, log = FOLDER / f"{target}.json", FOLDER / f"{target}.log"
    report.unlink(missing_ok=True)
    with log.open("w") as written:
        command = [sys.executable, "-m", "fuzz.one", target, str(runs), str(FOLDER)]
        done = subprocess.run(
            command, stdout=written, stderr=written, check=False, env=os.environ | {"PYTHONHASHSEED": "0"}
        )
    tally: dict[str, Any] = json.loads(report.read_text()) if report.exists() else {"inputs": 0, "differences": 0}
    if tally["inputs"] < runs:  # it was ended: a hang, memory, a crash of the interpreter; the log says which
        tally = {"seconds": 0, "examples": {}, "exceptions": 0, **tally}
        tally["exceptions"] += 1
        tally["examples"]["ended early"] = ["", f"exit {done.returncode}, see {log}"]
    rate = tally["inputs"] / (tally["seconds"] or 1)
    print(
        f"{target:8} {tally['inputs']:9,} {rate:7,.0f} {tally['differences']:12} {tally['exceptions']:11}", flush=True
    )
    for kind, (data, what) in tally["examples"].items():
        print(f"  {kind}\n    input {data}\n    {what}", flush=True)
    return tally


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
