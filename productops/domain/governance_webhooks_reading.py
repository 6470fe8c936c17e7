"""A request while it is read: its data, its headers, and how the source's entry translates what it names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from productops.domain.governance_webhooks import UNRECOGNISED, InboundEvent, WebhookSource
from productops.domain.governance_webhooks_json import clean_data, text

_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z._+-]{0,99}")


@dataclass(frozen=True, slots=True)
class Reading:
    """``data`` is the body, or the one part of it that is looked at."""

    source: WebhookSource
    headers: Mapping[str, str]
    data: Any
    received_at: datetime

    def text(self, *path: str | int, limit: int = 500) -> str:
        """What stands at a path of the data; empty where there is nothing."""
        return text(self.data, *path, limit=limit)

    def event(
        self, kind: str, *, names: tuple[str, ...] = (), environment: str = "", version: str = "", at: str = "", **more: Any
    ) -> InboundEvent:
        """An event with names translated. An environment that nobody knows makes it unrecognised: it might be any of ours."""
        found = self.source.environment_of(environment or None)
        if found is None:
            return self.unrecognised(f"the environment {environment[:60]!r} is not mapped; add it to the source's environments", kind)
        return InboundEvent(
            kind=kind, at=self.time(at), service=self.source.service_of(*names), environment=found, version=self.version(version),
            subject=more.pop("subject", "") or (names[0] if names else ""), outcome=more.pop("outcome", "")[:40],
            actor=more.pop("actor", "")[:255], data=clean_data(more.pop("data", {})), **more,
        )  # fmt: skip

    def unrecognised(self, reason: str, subject: str = "") -> InboundEvent:
        """Kept with its reason, so that somebody can see what the sender wanted."""
        return InboundEvent(kind=UNRECOGNISED, at=self.received_at, subject=subject[:500], reason=reason[:1000])

    def time(self, written: str) -> datetime:
        """An ISO 8601 time, or the time of receipt for what is none."""
        try:
            found = datetime.fromisoformat(written)
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            return self.received_at

    def version(self, written: str) -> str | None:
        """A version without the prefix of its tag; ``None`` for what can be none."""
        prefix = self.source.spec.release.tag_prefix if self.source.spec.release else "v"
        bare = written.removeprefix("refs/tags/")
        bare = bare.removeprefix(prefix) if bare[len(prefix) : len(prefix) + 1].isdigit() else bare
        return bare if _VERSION.fullmatch(bare) else None

    def tag(self, written: str) -> str:
        """``written`` where it looks like the tag of a version, and not like a branch."""
        prefix = self.source.spec.release.tag_prefix if self.source.spec.release else "v"
        bare = written.removeprefix("refs/tags/").removeprefix(prefix)
        return written if re.match(r"[0-9]+\.", bare) else ""
