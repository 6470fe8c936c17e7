"""The command line: up, release, rollback, status, doctor."""
