"""The two resource servers of the demo: the ERP, which calls the ledger on behalf of the same person, and the ledger.

Each accepts tokens of its own audience only, and introspects them (RFC 7662).
"""

from dataclasses import dataclass, field

from flask import Flask, Response, jsonify
from identity_verifier import Verifier

from dev.demo.api import Answer, Api, ServiceClient
from examples.erp.erp import (
    Refused,
    acted_for,
    answer_refusals,
    authenticate,
    bearer_token,
    challenge,
    create_app,
    permit,
)

ERP, LEDGER = "https://erp.example", "https://ledger.example"
READ_INVOICES, PAY_INVOICES, READ_ENTRIES = "invoices.read", "invoices.pay", "entries.read"


@dataclass(frozen=True, slots=True)
class LedgerOfErp:
    """The ERP as a client of the ledger. It exchanges the token that it received, and never passes it on."""

    client: ServiceClient
    url: str
    tokens: list[str] = field(default_factory=list, repr=False)
    """Those that the ERP has got for the ledger, the latest last."""

    def entry(self, received_token: str, invoice_id: str) -> Answer:
        """Return the ledger's answer; 403 where the issuer refuses a token for it."""
        issued = self.client.exchange(received_token, resource=LEDGER)
        if issued.status != 200:
            return Answer(403, {"error": issued.body["error"], "reason": issued.body["error_description"]})
        self.tokens.append(issued.body["access_token"])
        return Api(self.client.client, self.url, self.tokens[-1]).call("GET", f"/entries/{invoice_id}")


def erp(ledger: LedgerOfErp) -> Flask:
    """Return the example service, with one route that calls the ledger."""
    introspector = ledger.client.introspector()
    app = create_app(ledger.client.issuer, ERP, introspector=introspector)
    verifier = Verifier(ledger.client.issuer, ERP)

    @app.get("/invoices/<invoice_id>/entry")
    def read_entry(invoice_id: str) -> Response:
        permit("read", invoice_id, authenticate(verifier, introspector))
        found = ledger.entry(bearer_token(), invoice_id)
        response = jsonify(found.body)
        response.status_code = found.status
        return response

    return app


def ledger(client: ServiceClient) -> Flask:
    """Return the second service. It answers whether an invoice is booked, with the subject and actors of the token."""
    verifier, introspector = Verifier(client.issuer, LEDGER), client.introspector()
    app = Flask("ledger", static_folder=None)

    @app.get("/entries/<invoice_id>")
    def read_entry(invoice_id: str) -> Response:
        claims = authenticate(verifier, introspector)
        if not claims.has_scope(READ_ENTRIES):
            missing = {"error": "insufficient_scope", "scope": READ_ENTRIES}
            raise Refused(challenge(403, f"reading needs the scope {READ_ENTRIES}", missing))
        return jsonify({"invoice": invoice_id, "is_booked": True} | acted_for(claims))

    answer_refusals(app)
    return app
