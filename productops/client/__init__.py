"""A client of the REST interface: typed, small, written from its document. Needs httpx and nothing of the server."""

from productops.client.api import Client
from productops.client.transport import ApiError, NoAnswerError, ServerEvent

__all__ = ["ApiError", "Client", "NoAnswerError", "ServerEvent"]
