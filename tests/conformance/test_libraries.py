"""The code of docs/libraries.md, run as it stands there against the running product, machine to machine."""

import json
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.conformance.recipes import HERE, PAGE, ROOT, RecipeError, headings, python_of, recipe, run_node, run_python
from tests.conformance.stage import ERP, PORTAL, READ, Party, Registered
from tests.fixtures import claims_in

START_S_MAX = 30
MCP, LANGCHAIN = "mcp", "langchain"
"""Environments: MCP Python SDK 2 with idpyoidc, and LangChain's adapters with the MCP Python SDK 1."""


@pytest.fixture
def key_file(acme: Party, tmp_path: Path) -> str:
    return written(acme.invoice_bot, tmp_path / "invoice-bot.jwk")


def written(client: Registered, file: Path) -> str:
    """Write a key as `identity client create --generate-key` does."""
    assert client.key is not None
    named = {"kid": client.key.thumbprint(), "alg": "ES256", "use": "sig"}
    file.write_text(json.dumps(client.key.as_dict(private=True) | named))
    return str(file)


def assert_own(party: Party, token: dict[str, Any], client: Registered, audience: str = ERP) -> None:
    """The token is the agent's own: for nobody else, and by nobody else."""
    claims = claims_in(token["access_token"])
    assert (claims["client_id"], claims["aud"]) == (client.client_id, audience)
    assert (claims["sub"], "act" in claims) == (party.ids["invoice-bot"], False)


def assert_task(party: Party, token: dict[str, Any], audience: str = ERP) -> None:
    """The token is invoice-bot's, to act for Sam, and the resource server is told that it is alive."""
    claims = claims_in(token["access_token"])
    assert (claims["sub"], claims["act"]["sub"]) == (party.ids["sam"], party.ids["invoice-bot"])
    assert (claims["aud"], claims["tenant"]) == (audience, party.issuer.rsplit("/", 1)[1])
    erp = (party.erp.client_id, party.erp.secret or "")
    with httpx2.Client(trust_env=False) as http:
        told = http.post(f"{party.issuer}/oauth/introspect", data={"token": token["access_token"]}, auth=erp).json()
    assert told["active"] is (audience == ERP)


# --- Authlib, in this process ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authlib() -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "recipe"}
    exec(compile(recipe("Authlib"), "docs/libraries.md", "exec"), names)
    return names


def test_authlib_gets_both_tokens(authlib: dict[str, Any], acme: Party, key_file: str) -> None:
    told = acme.issuer, acme.invoice_bot.client_id, key_file, ERP
    assert_own(acme, authlib["own_token"](*told), acme.invoice_bot)
    assert_task(acme, authlib["task_token"](*told, acme.id_token("sam")))


# --- openid-client and the MCP TypeScript SDK, with Node.js -------------------------------------------------------


def test_openid_client_gets_both_tokens(node: str, acme: Party, key_file: str, tmp_path: Path) -> None:
    code = recipe("openid-client", "js")
    told = {"issuer": acme.issuer, "clientId": acme.invoice_bot.client_id, "keyFile": key_file, "resource": ERP}
    assert_own(acme, run_node(node, tmp_path, code, "ownToken", told), acme.invoice_bot)
    assert_task(acme, run_node(node, tmp_path, code, "taskToken", told | {"idToken": acme.id_token("sam")}))


def test_openid_client_posts_a_secret_by_default(node: str, acme: Party, tmp_path: Path) -> None:
    code = recipe("openid-client", "js")
    for client in (acme.poster, acme.ocr_bot):
        told = {"issuer": acme.issuer, "clientId": client.client_id, "clientSecret": client.secret, "resource": ERP}
        if client is acme.poster:
            issued = run_node(node, tmp_path, code, "ownToken", told)
            assert claims_in(issued["access_token"])["client_id"] == client.client_id
        else:
            with pytest.raises(RecipeError, match="invalid_client 401"):
                run_node(node, tmp_path, code, "ownToken", told)


# --- an MCP server, and its clients -------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def mcp_server(parties: dict[str, Party], mcp_url: str) -> Iterator[str]:
    """The MCP server of the page, which takes tokens of acme."""
    place = urlsplit(mcp_url)
    asked = {"recipe": recipe("MCP server"), "issuer": parties["acme"].issuer, "resource": mcp_url, "scope": READ}
    command = [python_of(MCP), str(HERE / "clients" / "serve_mcp.py")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, env={"PYTHONPATH": str(ROOT / "verifier")})
    assert process.stdin is not None
    print(json.dumps(asked | {"port": place.port}), file=process.stdin, flush=True)
    try:
        wait_for_listener(process, place.hostname or "", place.port or 0)
        yield mcp_url
    finally:
        process.stdin.close()  # it ends then, also when this process is killed
        process.wait(START_S_MAX)


def wait_for_listener(process: subprocess.Popen[str], host: str, port: int) -> None:
    deadline = time.monotonic() + START_S_MAX
    while True:
        assert process.poll() is None, "the MCP server ended"
        with socket.socket() as probe:
            if probe.connect_ex((host, port)) == 0:
                return
        assert time.monotonic() < deadline, "the MCP server does not listen"
        time.sleep(0.05)


def own(party: Party) -> dict[str, Any]:
    """What the tool says of a call of the agent itself."""
    return {"sub": party.ids["invoice-bot"], "act": None, "tenant": "acme"}


def for_sam(party: Party) -> dict[str, Any]:
    """What the tool says of a call for Sam."""
    act = {"sub": party.ids["invoice-bot"], "iss": party.issuer, "sub_profile": "ai_agent"}
    return {"sub": party.ids["sam"], "act": act, "tenant": "acme"}


def test_an_mcp_server_leads_to_the_issuer_and_takes_no_token_of_another_audience_or_tenant(
    mcp_server: str, authlib: dict[str, Any], acme: Party, rival: Party, tmp_path: Path
) -> None:
    asked = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    headers = {"Accept": "application/json, text/event-stream"}
    with httpx2.Client(trust_env=False) as http:
        refused = http.post(mcp_server, json=asked, headers=headers)
        assert refused.status_code == 401
        [metadata_url] = [part.split('"')[1] for part in refused.headers["WWW-Authenticate"].split(", ")
                          if part.startswith("resource_metadata=")]  # fmt: skip
        assert http.get(metadata_url).json()["authorization_servers"] == [acme.issuer]
        for party, resource in ((acme, ERP), (rival, mcp_server)):
            key_file = written(party.invoice_bot, tmp_path / f"{party.ids['sam']}.jwk")
            token = authlib["own_token"](party.issuer, party.invoice_bot.client_id, key_file, resource)
            bearer = {"Authorization": f"Bearer {token['access_token']}"}
            assert http.post(mcp_server, json=asked, headers=headers | bearer).status_code == 401


def test_the_mcp_python_sdk_finds_the_issuer_and_calls_a_tool(mcp_server: str, acme: Party, key_file: str) -> None:
    code, told = recipe("MCP Python SDK"), (mcp_server, acme.issuer)
    by_key = *told, acme.invoice_bot.client_id, key_file, READ, "who_acts"
    assert run_python(MCP, code, "own_call", *by_key) == own(acme)
    assert run_python(MCP, code, "call_for", acme.id_token("sam"), *by_key) == for_sam(acme)


def test_the_mcp_python_sdk_sends_a_secret_as_its_client_is_registered(mcp_server: str, acme: Party) -> None:
    code = recipe("MCP Python SDK")
    for client, method, other in (
        (acme.ocr_bot, "client_secret_basic", "client_secret_post"),
        (acme.poster, "client_secret_post", "client_secret_basic"),
    ):
        told = mcp_server, acme.issuer, client.client_id, client.secret
        answer = run_python(MCP, code, "own_call_by_secret", *told, method, READ, "who_acts")
        assert answer == {"sub": acme.ids["ocr-bot"], "act": None, "tenant": "acme"}
        with pytest.raises(RecipeError, match="invalid_client"):
            run_python(MCP, code, "own_call_by_secret", *told, other, READ, "who_acts")


def test_the_mcp_typescript_sdk_finds_the_issuer_and_calls_a_tool(
    node: str, mcp_server: str, acme: Party, key_file: str, tmp_path: Path
) -> None:
    code = recipe("MCP TypeScript SDK", "js")
    told = {"serverUrl": mcp_server, "clientId": acme.invoice_bot.client_id, "keyFile": key_file, "scope": READ,
            "tool": "who_acts"}  # fmt: skip
    assert run_node(node, tmp_path, code, "callTool", told) == own(acme)
    assert run_node(node, tmp_path, code, "callTool", told | {"idToken": acme.id_token("sam")}) == for_sam(acme)


def test_the_mcp_typescript_sdk_sends_a_secret_by_basic_and_so_only_for_a_client_that_is_registered_for_it(
    node: str, mcp_server: str, acme: Party, tmp_path: Path
) -> None:
    code, told = recipe("MCP TypeScript SDK", "js"), {"serverUrl": mcp_server, "scope": READ, "tool": "who_acts"}
    by_secret = {name: {"clientId": client.client_id, "clientSecret": client.secret}
                 for name, client in (("basic", acme.ocr_bot), ("post", acme.poster))}  # fmt: skip
    answer = run_node(node, tmp_path, code, "callTool", told | by_secret["basic"])
    assert answer == {"sub": acme.ids["ocr-bot"], "act": None, "tenant": "acme"}
    with pytest.raises(RecipeError, match="InvalidClientError"):
        run_node(node, tmp_path, code, "callTool", told | by_secret["post"])


def test_langchains_adapters_find_the_issuer_and_call_a_tool(
    mcp_server: str, authlib: dict[str, Any], acme: Party, key_file: str
) -> None:
    code, client_id = recipe("LangChain MCP adapters"), acme.invoice_bot.client_id
    answer = run_python(LANGCHAIN, code, "own_call", mcp_server, acme.issuer, client_id, key_file, READ, "who_acts")
    assert said_by_tool(answer) == own(acme)
    task = authlib["task_token"](acme.issuer, client_id, key_file, mcp_server, acme.id_token("sam"))
    answer = run_python(LANGCHAIN, code, "call_for", task["access_token"], mcp_server, "who_acts")
    assert said_by_tool(answer) == for_sam(acme)


def said_by_tool(content: Any) -> Any:
    """LangChain hands on the text in which MCP repeats a structured result."""
    [block] = content
    return json.loads(block["text"])


def test_a_person_who_is_not_known_here_is_the_error_that_the_mcp_typescript_sdk_throws(
    node: str, mcp_server: str, acme: Party, key_file: str, tmp_path: Path
) -> None:
    nobody = acme.upstream.id_token("oid-nobody", PORTAL)
    told = {"serverUrl": mcp_server, "clientId": acme.invoice_bot.client_id, "keyFile": key_file, "scope": READ,
            "tool": "who_acts", "idToken": nobody}  # fmt: skip
    with pytest.raises(RecipeError, match="InvalidRequestError"):
        run_node(node, tmp_path, recipe("MCP TypeScript SDK", "js"), "callTool", told)


# --- idpyoidc ----------------------------------------------------------------------------------------------------


def test_idpyoidc_finds_the_issuer_and_gets_both_tokens(acme: Party, key_file: str) -> None:
    code, told = recipe("idpyoidc"), (acme.issuer, acme.invoice_bot.client_id, key_file, ERP)
    assert_own(acme, run_python(MCP, code, "own_token", *told), acme.invoice_bot)
    assert_task(acme, run_python(MCP, code, "task_token", *told, acme.id_token("sam")))


# --- the page ----------------------------------------------------------------------------------------------------


def test_every_section_with_code_is_run_here() -> None:
    run_here = {"Authlib", "openid-client", "MCP server", "MCP Python SDK", "MCP TypeScript SDK",
                "LangChain MCP adapters", "idpyoidc"}  # fmt: skip
    assert headings() == run_here


PINS = {
    "Authlib": ("pyproject.toml", r'"authlib==(.+?)"'),
    "openid-client": ("tests/conformance/node/package.json", r'"openid-client": "(.+?)"'),
    "MCP Python SDK": ("tests/conformance/clients/mcp.txt", r"^mcp==(.+)$"),
    "MCP TypeScript SDK": ("tests/conformance/node/package.json", r'"@modelcontextprotocol/sdk": "(.+?)"'),
    "LangChain MCP adapters": ("tests/conformance/clients/langchain.txt", r"^langchain-mcp-adapters==(.+)$"),
    "idpyoidc": ("tests/conformance/clients/mcp.txt", r"^idpyoidc==(.+)$"),
}


def test_the_versions_on_the_page_are_those_that_the_tests_pin() -> None:
    rows = re.findall(r"^\| \[(.+?)\]\(#.*?\).*?\| ([0-9.]+)", PAGE.read_text(), re.MULTILINE)
    pinned = {name: re.findall(pin, (ROOT / file).read_text(), re.MULTILINE) for name, (file, pin) in PINS.items()}
    assert {name: [version] for name, version in rows} == pinned


def test_no_lockfile_names_a_registry() -> None:
    lock = (HERE / "node" / "package-lock.json").read_text()
    assert "integrity" in lock
    assert "resolved" not in lock
    assert "://" not in re.sub(r'"(?:url|funding)": "[^"]*"', "", lock)
