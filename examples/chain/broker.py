"""Celery's settings. Its broker is a folder, so that the example needs no server; CHAIN_BROKER names another one."""

import os
from pathlib import Path

QUEUE, CONTROL, RESULTS = (Path(os.environ["CHAIN_FOLDER"], name) for name in ("queue", "control", "results"))
for folder in (QUEUE, CONTROL, RESULTS):
    folder.mkdir(mode=0o700, exist_ok=True)

broker_url = os.environ.get("CHAIN_BROKER") or "filesystem://"
if broker_url == "filesystem://":
    broker_transport_options = {
        "data_folder_in": str(QUEUE),
        "data_folder_out": str(QUEUE),
        "control_folder": str(CONTROL),
    }
result_backend = f"file://{RESULTS}"
task_acks_late = True  # a message may come twice: renewing twice, and reading twice, do no harm
worker_enable_remote_control = False
worker_pool = "solo"
