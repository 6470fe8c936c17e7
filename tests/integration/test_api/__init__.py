"""The REST interface, over a real server, a real database and a hand-written orchestrator."""
