"""The document at ``/``, with links to the endpoints. It names no tenant and no version, and is public."""

import base64
import hashlib

from flask import Flask, Response, jsonify, request

from identity.edge.public_documents import METHODS, open_to_scripts

NAME = "Identity Foundation"
PURPOSE = "Identity and delegation for AI agents: verified facts for your policy engine."
LINKS = (
    ("readiness", "readyz", "Is this installation ready?"),
    ("liveness", "livez", "Is this process alive?"),
    ("admin_api", "admin/v1/openapi.json", "The admin API, as an OpenAPI document"),
)
TENANT_PATHS = (
    ("openid_provider", "t/{tenant}/.well-known/openid-configuration", "The OpenID Provider of a tenant"),
    ("scim", "t/{tenant}/scim/v2", "The SCIM 2.0 endpoint of a tenant"),
)
DOCUMENTS = ("README.md", "docs/cli.md", "docs/operating.md", "docs/scim.md", "docs/tokens.md")

STYLE = """
:root { color-scheme: light dark; }
body { font: 1rem/1.6 system-ui, sans-serif; max-width: 44rem; margin: 0 auto; padding: 2rem 1rem; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 0.5rem; }
h2 { font-size: 1.125rem; margin: 2rem 0 0.5rem; }
ul { margin: 0; padding-left: 1.25rem; }
li { margin: 0.25rem 0; }
code { font: 0.9375rem/1.5 ui-monospace, monospace; overflow-wrap: anywhere; }
"""
POLICY = "; ".join(
    (
        "default-src 'none'",
        f"style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)


def _items(lines: tuple[str, ...]) -> str:
    return "\n".join(f"<li>{line}</li>" for line in lines)


PAGE = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{NAME}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<h1>{NAME}</h1>
<p>{PURPOSE}</p>
<h2>This installation</h2>
<ul>
{_items(tuple(f'<a href="{path}">{words}</a>: <code>/{path}</code>' for _, path, words in LINKS))}
</ul>
<h2>Endpoints of a tenant</h2>
<ul>
{_items(tuple(f"{words}: <code>/{path}</code>" for _, path, words in TENANT_PATHS))}
</ul>
<h2>Administration</h2>
<p>Run <code>identity login URL</code> with the URL of this page, then <code>identity --help</code>.</p>
<h2>Documentation</h2>
<p>In the repository of the project:</p>
<ul>
{_items(tuple(f"<code>{name}</code>" for name in DOCUMENTS))}
</ul>
</main>
</body>
</html>
"""


def add_root(app: Flask, external_url: str) -> None:
    """Answer ``/``: a page for browsers, JSON for other clients."""
    document = {
        "name": NAME,
        "links": {name: f"{external_url}/{path}" for name, path, _ in LINKS},
        "tenant_endpoints": {name: f"{external_url}/{path}" for name, path, _ in TENANT_PATHS},
        "documents": list(DOCUMENTS),
    }

    @app.route("/", methods=METHODS)
    @open_to_scripts
    def root() -> Response:
        is_page = request.accept_mimetypes.best_match(("application/json", "text/html")) == "text/html"
        response = Response(PAGE, content_type="text/html; charset=utf-8") if is_page else jsonify(document)
        if is_page:
            response.headers["Content-Security-Policy"] = POLICY
        response.headers["Vary"] = "Accept"
        return response
