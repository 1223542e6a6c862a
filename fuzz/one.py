"""Fuzz one target: ``python -m fuzz.one TARGET RUNS FOLDER``. What it finds is in ``FOLDER/TARGET.json``.

A finding ends nothing: it is counted, and the first of each kind is kept with its input.
"""

import json
import sys
import traceback
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic

import atheris

with atheris.instrument_imports(include=["scim"]):
    from fuzz.targets import TARGETS

from fuzz.seeds import write_seeds

KINDS_MAX = 50
HERE = Path(__file__).parent


@dataclass
class Tally:
    """The inputs and the findings of one target. ``examples`` by kind: the input in hexadecimal, and the fault."""

    target: str
    inputs: int = 0
    differences: int = 0
    exceptions: int = 0
    seconds: float = 0.0
    examples: dict[str, list[str]] = field(default_factory=dict)

    def keep(self, kind: str, data: bytes, what: str) -> None:
        if len(self.examples) < KINDS_MAX:
            self.examples.setdefault(kind, [data.hex(), what])


def main(target: str, runs: int, folder: Path) -> None:
    tally, ask, began = Tally(target), TARGETS[target], monotonic()
    corpus, report = folder / target, folder / f"{target}.json"
    write_seeds(target, corpus)

    def one_input(data: bytes) -> None:
        tally.inputs += 1
        try:
            if difference := ask(data or bytes(1)):
                tally.differences += 1
                tally.keep(difference[:60], data, difference)
        except Exception as fault:  # whatever it is: it is what is looked for
            tally.exceptions += 1
            where = traceback.extract_tb(fault.__traceback__)[-1]
            tally.keep(f"{type(fault).__name__} in {where.name}", data, traceback.format_exc(limit=-4))
        if tally.inputs >= runs or tally.inputs % 1_000 == 0:
            tally.seconds = round(monotonic() - began, 1)
            report.write_text(json.dumps(asdict(tally), indent=1))

    options = [f"-runs={runs}", "-max_len=2048", "-timeout=20", "-rss_limit_mb=2048", "-verbosity=0",
               f"-dict={HERE / 'dictionary.txt'}", f"-artifact_prefix={folder}/"]  # fmt: skip
    atheris.Setup([sys.argv[0], *options, str(corpus)], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
