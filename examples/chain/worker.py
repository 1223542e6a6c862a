"""The third agent: an intake over HTTP, and a Celery worker that later does what was taken in."""

import os
from typing import Any

from celery import Celery

from examples.chain.client import RefusedError, UnavailableError, clients
from examples.chain.documents import DOCUMENTS
from examples.chain.web import authenticate, call, make_app

WORKER = "https://worker.example"
TASK_S = 3600  # a task's life: nothing renews a token after it, so a message has nothing to say after it
app = make_app("worker")
queue = Celery("worker")
queue.config_from_object("examples.chain.broker")


@app.post("/t/<tenant>/work/<int:document>")
def take_in(tenant: str, document: int) -> tuple[dict[str, Any], int]:
    """Queue a token in which the worker is the present actor: it alone can renew it, after it has expired here."""
    token, claims = authenticate(tenant, WORKER, "work")
    own_token = clients()[tenant].exchange(token, resource=DOCUMENTS)
    queued = summarize.apply_async((tenant, own_token, document), expires=TASK_S)
    return {"id": queued.id, "txn": claims.txn}, 202


@queue.task(throws=(RefusedError,), autoretry_for=(UnavailableError,), retry_backoff=True)
def summarize(tenant: str, own_token: str, document: int) -> dict[str, Any]:
    """Renew the token at the issuer of the message's tenant: there it is decided whether the work may still be done."""
    fresh_token = clients()[tenant].renew(own_token)
    found = call("GET", f"{os.environ['CHAIN_DOCUMENTS']}/t/{tenant}/documents/{document}", fresh_token)
    return {"summary": found["text"].split(".")[0], "actors": found["actors"], "txn": found["txn"]}
