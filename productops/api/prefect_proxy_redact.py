"""What never leaves Prefect through our door: its secret, and what is stored in blocks."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

from productops.errors import ForbiddenError

MASK = "********"
NO_SECRETS = "secrets in blocks are not shown here, to nobody: set a new value, or read it where it came from"


def asks_for_secrets(query: str, body: Any) -> bool:
    """Whether a request wants blocks in clear."""
    asked = any(name == "include_secrets" and value.lower() not in {"", "0", "false"} for name, value in parse_qsl(query))
    return asked or (isinstance(body, dict) and bool(body.get("include_secrets")))


def without_masks(body: Any) -> Any:
    """A change of a block without what was only shown masked: Prefect keeps fields that are not sent. Raises: ForbiddenError."""
    if not isinstance(body, dict) or not isinstance(body.get("data"), Mapping):
        return body
    kept = {name: value for name, value in body["data"].items() if value != MASK}
    if MASK in json.dumps(kept):
        raise ForbiddenError(f"a nested value is still {MASK}, which would be stored: write it anew, or change the block by `prefect`")
    return body | {"data": kept, "merge_existing_data": True}


def blank_blocks(value: Any) -> Any:
    """The same document with every value masked that a block document holds, wherever in it such a document stands."""
    if isinstance(value, list):
        return [blank_blocks(each) for each in value]
    if not isinstance(value, dict):
        return value
    if "block_type_id" in value and "data" in value:
        return {name: _masked(each) if name == "data" else blank_blocks(each) for name, each in value.items()}
    return {name: blank_blocks(each) for name, each in value.items()}


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        # A reference to another block is no value; the page needs it to find that block.
        return {name: each if name == "$ref" else _masked(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_masked(each) for each in value]
    return value if value is None or isinstance(value, bool) else MASK


class Blanker:
    """Blanks secrets in a stream of bytes, also where a secret comes in two pieces."""

    def __init__(self, *secrets: str) -> None:
        texts = [each for secret in secrets for each in (secret, base64.b64encode(secret.encode()).decode(), secret.partition(":")[2])]
        self._needles = sorted({text.encode() for text in texts if len(text) >= 8}, key=len, reverse=True)
        self._keep = max(map(len, self._needles), default=1) - 1

    def text(self, whole: bytes) -> bytes:
        """All of it at once."""
        for needle in self._needles:
            whole = whole.replace(needle, b"*" * len(needle))
        return whole

    async def stream(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The same number of bytes, later by at most a secret's length."""
        held = b""
        async for piece in pieces:
            held = self.text(held + piece)
            ready = len(held) - self._keep
            if ready > 0:
                yield held[:ready]
                held = held[ready:]
        if held:
            yield held
