"""What tests of the loader share: the command and a file for it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from cli.main import main
from tests.scim.sources import USER, Source


def person(name: str, /, **more: Any) -> str:
    return json.dumps({"schemas": [USER], "userName": name, **more})


def people(*names: str) -> list[str]:
    return [person(name) for name in names]


@dataclass(slots=True)
class Loader:
    """The command, and a file for it."""

    base_url: str
    token: str
    file: Path

    def run(self, lines: list[str], *words: str, exit_code: int = 0, **more: Any) -> Result:
        self.file.write_text("\n".join(lines), encoding="utf-8")
        return self.run_on(str(self.file), *words, exit_code=exit_code, **more)

    def run_on(self, file: str, *words: str, token: str | None = None, exit_code: int = 0, **more: Any) -> Result:
        asked = ["scim", "load", self.base_url, token or self.token, file, *words]
        result = CliRunner().invoke(main, asked, **more)
        assert result.exit_code == exit_code, (result.exit_code, result.output)
        return result

    def numbers(self, lines: list[str], *words: str, exit_code: int = 0) -> tuple[int, int, int]:
        """Return how many were created, were there already, and were refused."""
        told = json.loads(self.run(lines, "--json", *words, exit_code=exit_code).stdout)
        assert told["lines"] == told["created"] + told["there_already"] + told["refused"]
        return told["created"], told["there_already"], told["refused"]


def names(source: Source) -> list[str]:
    return sorted(user["userName"] for user in source.get("/Users?attributes=userName&count=200")["Resources"])
