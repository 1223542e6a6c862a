"""The page at ``/``: it shows where to go, and tells nothing that is not public."""

import json
from html.parser import HTMLParser

import pytest
from flask import Flask
from flask.testing import FlaskClient

from identity.edge.headers import HARDENING
from identity.edge.root import PAGE, POLICY, add_root

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.fixture
def client() -> FlaskClient:
    app = Flask("root", static_folder=None)
    add_root(app, "https://id.example")
    return app.test_client()


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (BROWSER, "text/html; charset=utf-8"),
        ("text/html", "text/html; charset=utf-8"),
        ("*/*", "application/json"),
        (None, "application/json"),
        ("application/json", "application/json"),
        ("application/json, text/html;q=0.5", "application/json"),
        ("image/png", "application/json"),
        ("text/html;q=0", "application/json"),
    ],
)
def test_a_browser_gets_a_page_and_others_json(client: FlaskClient, accept: str | None, content_type: str) -> None:
    answer = client.get("/", headers={} if accept is None else {"Accept": accept})
    assert (answer.status_code, answer.content_type, answer.headers["Vary"]) == (200, content_type, "Accept")


def test_the_json_links_to_what_is_public(client: FlaskClient) -> None:
    told = json.loads(client.get("/").data)
    assert told["links"] == {
        "readiness": "https://id.example/readyz",
        "liveness": "https://id.example/livez",
        "admin_api": "https://id.example/admin/v1/openapi.json",
    }
    assert told["tenant_endpoints"]["scim"] == "https://id.example/t/{tenant}/scim/v2"


class Read(HTMLParser):
    """The elements of a page, and what it would load."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.targets += [value or "" for name, value in attrs if name in ("href", "src", "style") or name[:2] == "on"]


def test_the_page_loads_nothing_runs_nothing_and_has_one_heading() -> None:
    page = Read()
    page.feed(PAGE)
    assert page.targets == ["readyz", "livez", "admin/v1/openapi.json"]
    assert not {"script", "link", "img", "iframe", "form", "object", "base"} & set(page.tags)
    assert (page.tags.count("h1"), page.tags.count("main"), page.tags[0]) == (1, 1, "html")
    assert '<html lang="en">' in PAGE


def test_the_policy_lets_the_pages_own_style_in_and_nothing_else(client: FlaskClient) -> None:
    answer = client.get("/", headers={"Accept": BROWSER})
    assert answer.headers["Content-Security-Policy"] == POLICY
    kinds = {part.split()[0]: part.split()[1:] for part in POLICY.split("; ")}
    assert [value[:8] for value in kinds.pop("style-src")] == ["'sha256-"]
    assert set(map(tuple, kinds.values())) == {("'none'",)}
    assert {"default-src", "base-uri", "form-action", "frame-ancestors"} == kinds.keys()
    assert "default-src 'none'" in HARDENING["Content-Security-Policy"]
