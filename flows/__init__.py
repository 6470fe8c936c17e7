"""One file per process; each reads like the runbook."""
