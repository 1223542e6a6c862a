"""The service. All about tokens is in ``authenticate``, all about permission in the policies."""

from typing import Any

from flask import Flask, Response, current_app, jsonify, request
from identity_verifier import ConfigurationError, Introspector, Rule, VerificationError, VerifiedClaims, Verifier

from examples.erp.policy import SCOPES, Action, Decision, Invoice, check_policies, decide

INVOICES = {
    invoice.id: invoice for invoice in (Invoice("17", 420, "Paper & Sons"), Invoice("18", 9_800, "Cold Storage Ltd"))
}


class Refused(Exception):  # noqa: N818  an answer to give, not a failure
    """A call that ends here, with the response that says why."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


def create_app(
    issuer: str, audience: str, *, introspector: Introspector | None = None, **verifier_options: Any
) -> Flask:
    """Build the service for one tenant's issuer.

    With an ``introspector`` each call introspects its token first, so that a person who left a moment ago is
    refused although the token has not expired. Raises ``ConfigurationError`` for what cannot be an issuer or an
    audience.
    """
    check_policies()
    verifier = Verifier(issuer, audience, **verifier_options)
    app = Flask("erp")

    @app.get("/invoices/<invoice_id>")
    def read_invoice(invoice_id: str) -> Response:
        invoice, claims = permit("read", invoice_id, authenticate(verifier, introspector))
        return jsonify(present(invoice) | acted_for(claims))

    @app.post("/invoices/<invoice_id>/pay")
    def pay_invoice(invoice_id: str) -> Response:
        invoice, claims = permit("pay", invoice_id, authenticate(verifier, introspector))
        return jsonify(present(invoice) | acted_for(claims) | {"paid": True})

    answer_refusals(app)
    return app


def answer_refusals(app: Flask) -> None:
    """Let each refusal be answered as it is meant."""
    app.register_error_handler(VerificationError, refuse_token)
    app.register_error_handler(ConfigurationError, report_to_operator)
    app.register_error_handler(Refused, lambda refused: refused.response)


def authenticate(verifier: Verifier, introspector: Introspector | None) -> VerifiedClaims:
    """The claims of the caller's token. Raises ``Refused``, ``VerificationError``, ``ConfigurationError``."""
    token = bearer_token()
    claims = verifier.verify(token)
    if introspector is not None and not introspector.is_active(token):
        raise VerificationError(Rule.INACTIVE, "the issuer has ended this token")
    return claims


def bearer_token() -> str:
    """The token from the header, the only place where it is looked for (RFC 6750 §2.1)."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Refused(challenge(401, "a bearer token is needed", {}))
    return token.strip()


def permit(action: Action, invoice_id: str, claims: VerifiedClaims) -> tuple[Invoice, VerifiedClaims]:
    """The invoice, when there is one and the policies permit it; else raise ``Refused``."""
    invoice = INVOICES.get(invoice_id)
    if invoice is None:
        raise Refused(answer(404, "not_found", "there is no such invoice"))
    decision = decide(claims, action, invoice)
    if not decision.is_allowed:
        raise Refused(refuse_action(decision, SCOPES[action], claims))
    return invoice, claims


def refuse_action(decision: Decision, scope: str, claims: VerifiedClaims) -> Response:
    if claims.has_scope(scope) or claims.details_stand_alone:
        return answer(403, "denied_by_policy", decision.reason)
    return challenge(403, decision.reason, {"error": "insufficient_scope", "scope": scope})


def refuse_token(error: VerificationError) -> Response:
    """Answer 401 with the failed rule, or 503 where the issuer could not be reached."""
    if error.is_unavailable:
        response = answer(503, "temporarily_unavailable", error.rule)
        response.headers["Retry-After"] = "10"
        return response
    return challenge(401, error.rule, {"error": "invalid_token", "error_description": error.rule})


def report_to_operator(error: ConfigurationError) -> Response:
    """500 and a line in the log: no token would do, and waiting does not help."""
    current_app.logger.error("the service is set up wrongly: %s", error)
    return answer(500, "misconfigured", error.code)


def challenge(status: int, reason: str, parameters: dict[str, str]) -> Response:
    """Name the scheme, as RFC 6750 §3 requires; every value here is ours, so none needs quoting."""
    response = answer(status, parameters.get("error", "unauthorized"), reason)
    named = ", ".join(f'{name}="{value}"' for name, value in {"realm": current_app.name, **parameters}.items())
    response.headers["WWW-Authenticate"] = f"Bearer {named}"
    return response


def answer(status: int, error: str, reason: str) -> Response:
    response = jsonify({"error": error, "reason": reason})
    response.status_code = status
    return response


def present(invoice: Invoice) -> dict[str, Any]:
    return {"id": invoice.id, "amount_usd": invoice.amount_usd, "supplier": invoice.supplier}


def acted_for(claims: VerifiedClaims) -> dict[str, Any]:
    """Return the subject, the actors and the task, which the invoice's own history would record."""
    return {"for": claims.subject, "by": [actor.subject for actor in claims.actors], "txn": claims.txn}
