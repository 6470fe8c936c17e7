"""Typed settings and secrets of the systems we talk to; they build adapters."""
