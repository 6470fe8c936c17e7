"""Flags over real HTTP, real SQLite and PostgreSQL, and OpenFeature's own clients."""
