"""Thin Prefect tasks: retries, timeouts and run names around one use case each."""
