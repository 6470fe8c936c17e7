"""Tests: unit, integration (real databases, routers, servers) and end to end."""
