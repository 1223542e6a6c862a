"""The web application, composed."""

import re
from typing import Any

import structlog
from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from config.database import engine_of
from config.settings import Settings
from identity.actions.envelope_encryption import EnvelopeEncryption
from identity.actions.signing_keys import KeyRing
from identity.actions.upstream import UpstreamKeys
from identity.admin.errors import answer_http_exception as admin_error
from identity.admin.routes import blueprint as admin
from identity.edge.admission import AdmissionMiddleware
from identity.edge.concurrency import ConcurrencyLimiter
from identity.edge.headers import guard_every_answer
from identity.edge.metrics import add_metrics
from identity.edge.rate_limits import BURST_S
from identity.edge.root import add_root
from identity.edge.runtime import Runtime, utc_now
from identity.model.rate import Rate
from identity.oauth.routes import blueprint as oauth
from identity.oauth.tasks import blueprint as tasks
from identity.outbound import make_fetch
from scim.protected_resource import blueprint as protected_resource
from scim.routes import blueprint as scim
from scim.routes import on_http_exception as scim_error
from server.readiness import Readiness

# A path without a route still lies below a surface, which has its own form of an error.
SURFACES = ((re.compile(r"/t/[^/]+/scim/v2(/|$)"), scim_error), (re.compile(r"/admin/v1(/|$)"), admin_error))

log = structlog.get_logger(__name__)


def make_runtime(settings: Settings) -> Runtime:
    """Return the runtime of the edges: engine, keys, clock, network."""
    encryption = EnvelopeEncryption(settings.key_encryption_key_bytes)
    return Runtime(
        engine=engine_of(settings, pool_size=settings.database_pool_size),
        encryption=encryption,
        keys=KeyRing(encryption),
        upstream_keys=UpstreamKeys(
            make_fetch(allow_loopback=settings.outgoing_allow_loopback),
            allow_development=settings.allow_development_issuer,
        ),
        external_url=settings.external_url,
        admin_token_hash=settings.admin_token_hash,
        clock=utc_now,
        allow_loopback=settings.outgoing_allow_loopback,
        allow_development_issuer=settings.allow_development_issuer,
        body_bytes_max=settings.body_bytes_max,
        scim_rate=Rate(per_s=settings.scim_requests_per_s, burst=BURST_S * settings.scim_requests_per_s),
        limiter=ConcurrencyLimiter(max_running=settings.web_places),
    )


def create_app(settings: Settings, runtime: Runtime | None = None) -> Flask:
    """Return the application. Raises ``Unavailable`` without our role, or row-level security that binds us."""
    shared = runtime or make_runtime(settings)
    readiness = readiness_of(shared)
    readiness.check_isolation()
    return assemble_app(shared, readiness)


def readiness_of(runtime: Runtime) -> Readiness:
    """Return the readiness of one process, before the first look at the database."""
    return Readiness(
        runtime.engine, runtime.clock, runtime.encryption, allow_development_issuer=runtime.allow_development_issuer
    )


def assemble_app(shared: Runtime, readiness: Readiness) -> Flask:
    """Return the application without a look at the database. It serves nothing before the readiness ``is_isolated``."""
    app = Flask("identity", static_folder=None)
    app.extensions["identity"] = shared
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.url_map.merge_slashes = False  # one spelling of a path, or none
    app.url_map.strict_slashes = True
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False  # an anonymous caller learns no methods
    guard_every_answer(app)
    for blueprint in (oauth, tasks, scim, protected_resource, admin):
        app.register_blueprint(blueprint)
    add_root(app, shared.external_url)
    add_health(app, readiness)
    add_metrics(app)
    add_last_resort(app)
    app.wsgi_app = AdmissionMiddleware(app.wsgi_app, shared.limiter, shared.tenants)  # type: ignore[assignment]
    return app


def add_health(app: Flask, readiness: Readiness) -> None:
    """Answer whether the process lives and can serve; ``reason`` is the part that is at fault."""

    @app.get("/livez")
    def livez() -> Response:
        return jsonify(status="live")

    @app.get("/readyz")
    def readyz() -> Any:
        found = readiness.look()
        if found.fault is not None:
            return jsonify(status="not ready", reason=found.fault, **found.members()), 503
        return jsonify(status="ready", **found.members())


def add_last_resort(app: Flask) -> None:
    """Answer errors that no edge answered, without a stack trace."""

    @app.errorhandler(HTTPException)
    def routing(error: HTTPException) -> Any:
        written = (answer for path, answer in SURFACES if path.match(request.path))
        response = next(written, _plain)(error)
        response.headers.extend(header for header in error.get_headers() if header[0] == "Allow")  # RFC 9110 §15.5.6
        return response

    @app.errorhandler(Exception)
    def unknown(error: Exception) -> Any:
        log.error("unhandled", exc_info=error)
        return _problem(500, "Internal Server Error")


def _plain(error: HTTPException) -> Response:
    return _problem(error.code or 500, error.name)


def _problem(status: int, title: str) -> Response:
    response = jsonify(type="about:blank", title=title, status=status)
    response.status_code = status
    response.mimetype = "application/problem+json"
    return response
