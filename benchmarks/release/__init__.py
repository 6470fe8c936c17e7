"""The whole stack under load: how fast it reacts, what it costs, and how it treats good releases."""
