"""The demo: a shop, its users, three releases, and a table of what happened."""
