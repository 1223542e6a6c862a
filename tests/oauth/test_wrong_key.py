"""A key-encryption key that is not the one which sealed the signing keys: a 503 whose cause the log names."""

from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from identity.actions.envelope_encryption import EnvelopeEncryption
from identity.actions.signing_keys import KeyRing
from tests.fixtures import TwoTenants
from tests.oauth.conftest import TemplateDatabase


@pytest.mark.promise(9)
def test_a_signing_key_that_cannot_be_opened_is_told_to_the_log_of_each_tenant(
    two_tenants: TwoTenants, template_db: TemplateDatabase
) -> None:
    other = EnvelopeEncryption(bytes(range(32)))
    changed = template_db.web.two_tenants(
        replace(two_tenants.runtime, encryption=other, keys=KeyRing(other)), template_db.seeded
    )
    for tenant in (changed.acme, changed.rival):
        with capture_logs() as logs:
            answer = tenant.ask(tenant.agent("ocr-bot"), grant_type="client_credentials")
        assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
        assert "IDENTITY_KEY_ENCRYPTION_KEY" not in answer.text
        [line] = [line for line in logs if line["event"] == "unavailable"]
        assert line["cause"] == "is IDENTITY_KEY_ENCRYPTION_KEY the key that encrypted it?"
