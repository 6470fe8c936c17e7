"""Prefect around our flows: dispatcher, deployment registration."""

import os

# Before numpy is imported by anybody: the dispatcher forks, and a process that forks must have one thread.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

# Plain HTTP has no certificate to check, but Prefect's clients read the whole bundle all the same: a tenth of a second for each.
if os.environ.get("PREFECT_API_URL", "").startswith("http://"):
    os.environ.setdefault("PREFECT_API_TLS_INSECURE_SKIP_VERIFY", "true")

# Each process of a run would ask the server for its version, twice; the dispatcher and the server are of one installation.
os.environ.setdefault("PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED", "false")
# Lines of a log reach the UI in fewer requests: each costs the server as much as ten lines.
os.environ.setdefault("PREFECT_LOGGING_TO_API_BATCH_INTERVAL", "5")
