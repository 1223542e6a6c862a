"""The second agent, a service: it has the worker do it, for the same person in the same task."""

import os
from typing import Any

from examples.chain.client import clients
from examples.chain.web import authenticate, call, make_app
from examples.chain.worker import WORKER

SUMMARIZER = "https://summarizer.example"
app = make_app("summarizer")


@app.post("/t/<tenant>/summaries/<int:document>")
def ask_for_summary(tenant: str, document: int) -> tuple[dict[str, Any], int]:
    token, _ = authenticate(tenant, SUMMARIZER, "summarize")
    for_worker = clients()[tenant].exchange(token, resource=WORKER)
    return call("POST", f"{os.environ['CHAIN_WORKER']}/t/{tenant}/work/{document}", for_worker), 202
