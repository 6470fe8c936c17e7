"""The posture: what the store knows of each area, judged."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from productops.domain.governance_access_tokens import Person
from productops.domain.governance_security import FindingFilter, Mark
from productops.domain.governance_security_posture import Exposure, Posture, PostureFacts, posture_of
from productops.errors import ForbiddenError
from productops.usecases.context import Actor, Context
from productops.usecases.governance_security import seen_ventures
from productops.usecases.governance_security_looks import CHAIN_MARK
from productops.usecases.governance_security_vulnerable import MARK

FINDINGS_MAX: Final = 1000


def read_posture(context: Context, exposure: Exposure | None, *, venture: str | None = None, actor: Actor) -> Posture:
    """Of what the caller may see: tokens, grants and findings of those ventures. The audit log, the advisories and the way to the API are
    of the whole installation, and shown to who may see all of it.

    Raises: ForbiddenError, StoreUnavailableError.
    """
    seen = seen_ventures(actor, venture)
    if seen is not None and not seen:
        raise ForbiddenError(f"{actor.name} may not read the security of {venture or 'any venture'}", operation="security.read")
    with context.store.read() as unit:
        wanted = FindingFilter(open_only=True, ventures=seen)
        facts = PostureFacts(
            tokens=[token for token in unit.tokens.all() if seen is None or token.venture in seen],
            people=[person for each in unit.principals.all() if (person := _within(each, seen)) is not None],
            findings=unit.security.findings(wanted, limit=FINDINGS_MAX),
            chain=unit.security.mark(CHAIN_MARK) if seen is None else Mark(),
            advisories=unit.security.mark(MARK) if seen is None else Mark(),
        )  # fmt: skip
    return posture_of(facts, exposure if seen is None else None, whole=seen is None, now=context.clock.now())


def _within(person: Person, seen: frozenset[str] | None) -> Person | None:
    """Somebody with the grants that the caller may know of; None without any."""
    if seen is None:
        return person
    grants = tuple(held for held in person.grants if held.grant.venture in seen)
    return replace(person, grants=grants) if grants else None
