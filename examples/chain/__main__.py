"""``python -m examples.chain``: set up two tenants, start every part, and see which work goes on."""

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from examples.chain.administration import WORKER_LIFETIME_S, identity, set_up
from examples.chain.client import Client, RefusedError
from examples.chain.documents import DOCUMENTS
from examples.chain.orchestrator import summarize_all
from examples.chain.programs import Programs
from examples.chain.summarizer import SUMMARIZER
from examples.chain.web import call
from examples.chain.worker import WORKER, queue, summarize

RESULT_S = 60
ACTORS = 3


def main() -> None:
    os.umask(0o077)  # tokens lie in files of the queue
    print(f"Setting up two tenants at {identity('whoami')['url']} ...", flush=True)
    suffix = secrets.token_hex(2)
    acme, globex = f"acme-{suffix}", f"globex-{suffix}"
    with ThreadPoolExecutor() as pool:
        clients = dict(zip((acme, globex), pool.map(set_up, (acme, globex)), strict=True))
    with TemporaryDirectory(prefix="chain-") as folder, Programs(Path(folder), clients) as programs:
        os.environ["CHAIN_FOLDER"] = folder
        programs.start_services()
        print(f"The tenants {acme} and {globex} are set up, and the services run.", flush=True)
        play(acme, globex, programs)


def play(acme: str, globex: str, programs: Programs) -> None:
    """Queue four tasks and a stolen token, let their tokens expire, end two tasks, and see what still goes on."""
    clients, urls = programs.clients, programs.urls

    def ask(tenant: str, person: str) -> list[Any]:
        return summarize_all(clients[tenant]["orchestrator"], tenant, id_token(tenant, person), urls)

    goes_on, elsewhere, cancelled, suspended = (
        ask(acme, "sam"),
        ask(globex, "sam"),
        ask(acme, "sam"),
        ask(acme, "dana"),
    )
    for_summarizer, queued_token = tokens_of(clients[acme], id_token(acme, "sam"))
    moved = [{"id": summarize.delay(globex, queued_token, 1).id}]

    time.sleep(WORKER_LIFETIME_S + 1)
    print(f"The queue waited for {WORKER_LIFETIME_S + 1} s. Its tokens lived {WORKER_LIFETIME_S} s and have expired.")
    identity(f"task cancel {acme} {cancelled[0]['txn']} --reason 'not needed any more'")
    identity(f"user suspend {acme} dana@example.com --reason investigation")

    programs.start_queue()
    look("work goes on", goes_on)
    look("work of the other tenant goes on", elsewhere)
    look("work of a cancelled task", cancelled, "subject_token_task_ended")
    look("work for a suspended person", suspended, "subject_token_party_inactive")
    look("a message with a token of another tenant", moved, "subject_token_issuer")

    summaries, document = urls["summarizer"] + "/t/{}/summaries/1", f"{urls['documents']}/t/{acme}/documents/1"
    summarizer = clients[acme]["summarizer"]
    expect("a token of acme in a path of globex", "issuer", call, "POST", summaries.format(globex), for_summarizer)
    expect("a token for the summarizer at the document service", "audience", call, "GET", document, for_summarizer)
    expect("a token from the queue, after its time", "inactive", call, "GET", document, queued_token)
    expect("a token from the queue, renewed by another", "actor_already_in_chain", summarizer.renew, queued_token)
    print(f"\nidentity audit list {acme} --txn {goes_on[0]['txn']}\n", flush=True)
    subprocess.run([sys.executable, "-m", "cli", "audit", "list", acme, "--txn", goes_on[0]["txn"]], check=True)


def id_token(tenant: str, person: str) -> str:
    return str(identity(f"dev id-token {person} --tenant {tenant}")["id_token"])


def tokens_of(clients: dict[str, Client], person_token: str) -> tuple[str, str]:
    """Return what a thief could have: a token for the summarizer, and the worker's own as it lies in the queue."""
    for_summarizer = clients["orchestrator"].exchange(person_token, "id_token", resource=SUMMARIZER)
    for_worker = clients["summarizer"].exchange(for_summarizer, resource=WORKER)
    return for_summarizer, clients["worker"].exchange(for_worker, resource=DOCUMENTS)


def look(what: str, queued: list[Any], reason: str | None = None) -> None:
    """Wait for the results: summaries, read by all actors in the one task, or where there is a ``reason`` refusals."""
    for each in queued:
        result = queue.AsyncResult(each["id"]).get(timeout=RESULT_S, propagate=False)
        if isinstance(result, Exception):
            refused(what, result, reason)
        else:
            is_whole = len(result["actors"]) == ACTORS and result["txn"] == each["txn"]
            show(what, result["summary"], is_right=reason is None and is_whole)


def expect(what: str, reason: str, do: Callable[..., Any], *arguments: str) -> None:
    """Try what must be refused for this reason."""
    try:
        do(*arguments)
    except RefusedError as error:
        refused(what, error, reason)
    else:
        show(what, "not refused", is_right=False)


def refused(what: str, error: Exception, reason: str | None) -> None:
    show(f"{what} is refused", str(error), is_right=reason is not None and reason in str(error))


def show(what: str, outcome: str, *, is_right: bool) -> None:
    print(f"{'✓' if is_right else '✗'} {what}: {outcome}", flush=True)
    if not is_right:
        sys.exit(1)


if __name__ == "__main__":
    main()
