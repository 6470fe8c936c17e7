"""Frozen values, state machines and policies; pure."""
