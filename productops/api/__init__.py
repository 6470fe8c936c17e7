"""The REST interface: wire schemas, routes, server-sent events."""
