"""The generic suite of the field finds no fault."""

import pytest
from flask import Flask
from scim2_client.engines.wsgi import WSGISCIMClient
from scim2_tester import Status

from tests.scim.generic_suite import run_suite
from tests.scim.sources import BASE_URL, Sources


@pytest.mark.parametrize(
    "dialect", ["rfc", "interop", "okta", "entra", "entra-compliant", "onelogin", "jumpcloud", "sailpoint"]
)
def test_scim2_tester_finds_no_error(app: Flask, sources: Sources, dialect: str) -> None:
    source = sources.make("acme", dialect)
    client = WSGISCIMClient(
        app, base_url=f"{BASE_URL}{source.url('')}", headers={"Authorization": f"Bearer {source.token}"}
    )
    results = run_suite(client)
    assert {result.resource_type for result in results} >= {"User", "Group", "Agent", "ServiceAccount"}
    faults = [f"{r.resource_type} {r.title}: {r.reason}" for r in results if r.status is Status.ERROR]
    assert not faults, "\n".join(faults)
