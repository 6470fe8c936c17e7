"""Documents of audit. Written by `make docs` from the OpenAPI document; do not edit."""
# fmt: off

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict


class AnchorOut(TypedDict):
    """The newest entry's number and hash, signed by this installation (Ed25519)."""
    seq: int
    hash: str
    at: str
    key: str
    signature: str


class AuditEntryOut(TypedDict):
    """One entry of the audit log. `[erased]` stands where personal data was."""
    seq: int
    at: str
    actor: str
    origin: str
    action: str
    subject: str
    reason: str
    detail: dict[str, Any]
    erased: list[str]
    previous_hash: str
    hash: str


class AuditPageOut(TypedDict):
    """Entries, newest first; pass `next` as `after` for the following page."""
    items: list[AuditEntryOut]
    next: str | None
