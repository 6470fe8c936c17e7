"""Prefect around our flows: dispatcher, deployment registration."""

import os

# Before numpy is imported by anybody: the dispatcher forks, and a process that forks must have one thread.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
