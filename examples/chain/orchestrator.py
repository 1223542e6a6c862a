"""The first agent, a client program: it has a person's ID token, and has all documents summarized in one task."""

from typing import Any

from examples.chain.client import Client
from examples.chain.documents import DOCUMENTS
from examples.chain.summarizer import SUMMARIZER
from examples.chain.web import call


def summarize_all(client: Client, tenant: str, id_token: str, urls: dict[str, str]) -> list[Any]:
    """Return what was queued, a member for each document."""
    to_look = client.exchange(id_token, "id_token", resource=DOCUMENTS)
    listed = call("GET", f"{urls['documents']}/t/{tenant}/documents", to_look)
    to_ask = client.exchange(id_token, "id_token", resource=SUMMARIZER, txn=listed["txn"])
    summaries = f"{urls['summarizer']}/t/{tenant}/summaries"
    return [call("POST", f"{summaries}/{number}", to_ask) for number in listed["documents"]]
