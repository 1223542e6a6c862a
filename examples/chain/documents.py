"""The document service, a resource server and no agent. It verifies and introspects each token."""

from typing import Any

from flask import abort
from identity_verifier import Rule, VerificationError, VerifiedClaims

from examples.chain.client import clients
from examples.chain.web import authenticate, make_app

DOCUMENTS = "https://documents.example"
TEXTS = {1: "We open in Oslo. The rent is fixed until May.", 2: "The budget is approved. It is for one year."}
app = make_app("documents")


def permit(tenant: str, scope: str) -> VerifiedClaims:
    token, claims = authenticate(tenant, DOCUMENTS, scope)
    if not clients()[tenant].is_active(token):
        raise VerificationError(Rule.INACTIVE, "the issuer has ended this token")
    return claims


@app.get("/t/<tenant>/documents")
def list_documents(tenant: str) -> dict[str, Any]:
    claims = permit(tenant, "documents.list")
    return {"documents": list(TEXTS), "txn": claims.txn}


@app.get("/t/<tenant>/documents/<int:number>")
def read_document(tenant: str, number: int) -> dict[str, Any]:
    claims = permit(tenant, "documents.read")
    actors = [actor.subject for actor in claims.actors]
    text = TEXTS.get(number) or abort(404)
    return {"text": f"{claims.tenant}: {text}", "for": claims.subject, "actors": actors, "txn": claims.txn}
