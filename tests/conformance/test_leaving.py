"""Two strangers' clients together: what scim2-client says of a person, Authlib's client feels at once."""

import pytest
from authlib.integrations.base_client import OAuthError
from scim2_models import PatchOp, PatchOperation

from tests.conformance.stage import ERP, EXCHANGE, ID_TOKEN, Party
from tests.conformance.test_authlib_client import ask, fetch_metadata, introspect
from tests.conformance.test_scim2_client import client_of


@pytest.mark.promise(1)
def test_a_person_whom_the_source_deactivates_has_no_live_token_from_then_on(acme: Party) -> None:
    metadata = fetch_metadata(acme.issuer)
    with client_of(acme) as scim:
        user_model, group_model = scim.get_resource_model("User"), scim.get_resource_model("Group")
        kim = scim.create(user_model(user_name="kim.leaves@example.com", external_id="oid-kim-leaves", active=True))
        add = PatchOperation(op=PatchOperation.Op.add, path="members", value=[{"value": kim.id}])
        scim.modify(group_model, acme.ids["finance"], PatchOp[group_model](operations=[add]))

        subject = {"subject_token": acme.id_token("kim-leaves"), "subject_token_type": ID_TOKEN, "resource": ERP}
        task = ask(acme.invoice_bot, metadata, grant_type=EXCHANGE, **subject)
        assert introspect(acme.erp, metadata, task["access_token"])["sub"] == kim.id

        leave = PatchOperation(op=PatchOperation.Op.replace_, path="active", value=False)
        scim.modify(user_model, kim.id, PatchOp[user_model](operations=[leave]))

        assert introspect(acme.erp, metadata, task["access_token"]) == {"active": False}
        with pytest.raises(OAuthError):
            ask(acme.invoice_bot, metadata, grant_type=EXCHANGE, **subject)
