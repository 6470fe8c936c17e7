"""A request for signatures: what it needs, who has signed, what is still missing. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from productops.domain.catalog_approvals import Action, Hours
from productops.domain.governance_access import Role, Scope
from productops.domain.governance_approvals_hours import within
from productops.domain.release import Environment

REVIEW_WITHIN = timedelta(hours=72)
"""An override that nobody has looked at after this long is overdue."""
REASON_CHARACTERS_MIN = 10


class ApprovalState(StrEnum):
    """Where a request stands."""

    WAITING = "waiting"
    APPROVED = "approved"
    OVERRIDDEN = "overridden"
    REFUSED = "refused"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


GRANTED = frozenset({ApprovalState.APPROVED, ApprovalState.OVERRIDDEN})


@dataclass(frozen=True, slots=True)
class Need:
    """So many signatures of a role, by one version of one policy. ``hours``: when signing counts; None: always."""

    policy: str
    version: int
    role: Role
    count: int
    valid_s: int
    hours: Hours | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for the store."""
        hours = self.hours.model_dump(mode="json", include=set(Hours.model_fields)) if self.hours else None
        return {
            "policy": self.policy, "version": self.version, "role": self.role.value, "count": self.count, "valid_s": self.valid_s,
            "hours": hours,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Need:
        """What ``to_dict`` wrote."""
        hours = Hours.model_validate(values["hours"]) if values["hours"] else None
        return cls(values["policy"], values["version"], Role(values["role"]), values["count"], values["valid_s"], hours)


@dataclass(frozen=True, slots=True)
class Slot:
    """One place for one person's signature. ``hours``: all of these must be open when it is given."""

    role: Role
    valid_s: int
    hours: tuple[Hours, ...] = ()


@dataclass(frozen=True, slots=True)
class Signature:
    """One person's word. ``roles``: what they held there at that moment; ``content_hash``: what they were shown."""

    id: str
    person: str
    roles: frozenset[Role]
    content_hash: str
    note: str
    origin: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """One request as stored. ``subject`` is e.g. ``release/<id>``; ``content`` is what is shown, ``content_hash`` what is signed.

    ``facts``: what the policies were asked about.
    """

    id: str
    subject: str
    action: Action
    title: str
    venture: str | None
    environment: Environment | None
    requested_by: str
    reason: str
    content: dict[str, Any]
    content_hash: str
    facts: tuple[dict[str, Any], ...]
    needs: tuple[Need, ...]
    state: ApprovalState
    created_at: datetime
    expires_at: datetime
    decided_at: datetime | None = None
    decided_by: str = ""
    outcome: str = ""
    signatures: tuple[Signature, ...] = field(default=())

    @property
    def scope(self) -> Scope:
        """Where roles are looked for."""
        return Scope(self.venture, self.environment)

    @property
    def policies(self) -> tuple[str, ...]:
        """The policy versions it was made under, ``name@version``."""
        return tuple(sorted({f"{need.policy}@{need.version}" for need in self.needs}))

    @property
    def waiting(self) -> bool:
        """Whether somebody may still sign or refuse."""
        return self.state is ApprovalState.WAITING

    @property
    def granted(self) -> bool:
        """Whether what it is for may be done."""
        return self.state in GRANTED


@dataclass(frozen=True, slots=True)
class Review:
    """The look that somebody else takes at an override afterwards."""

    id: str
    approval_id: str
    subject: str
    venture: str | None
    overridden_by: str
    reason: str
    opened_at: datetime
    due_at: datetime
    closed_by: str | None = None
    closed_at: datetime | None = None
    note: str = ""

    def overdue(self, now: datetime) -> bool:
        """Whether nobody closed it in time."""
        return self.closed_at is None and now >= self.due_at


def hash_of(content: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON of what is shown."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":"), default=str).encode()).hexdigest()


def same_person(one: str, other: str) -> bool:
    """Whether two names stand for one person, as far as names can tell."""
    return " ".join(one.split()).casefold() == " ".join(other.split()).casefold()


def slots_of(needs: Iterable[Need]) -> list[Slot]:
    """The union of all needs: of each role as many places as the policy that asks for most, each as strict as all that ask for it."""
    by_role: dict[Role, list[Need]] = {}
    for need in needs:
        by_role.setdefault(need.role, []).append(need)
    slots = []
    for role in Role:
        asking = by_role.get(role, [])
        for place in range(max((need.count for need in asking), default=0)):
            here = [need for need in asking if need.count > place]
            hours = tuple(dict.fromkeys(need.hours for need in here if need.hours is not None))
            slots.append(Slot(role, min(need.valid_s for need in here), hours))
    return slots


def fits(slot: Slot, signature: Signature, *, now: datetime) -> bool:
    """Whether a signature can take a place now: by its role, its time and its age."""
    return (
        slot.role in signature.roles
        and now - signature.at < timedelta(seconds=slot.valid_s)
        and all(within(hours, signature.at) for hours in slot.hours)
    )


def counting(request: ApprovalRequest) -> list[Signature]:
    """The newest signature of each person for what is shown now; the one who asked never counts."""
    newest: dict[str, Signature] = {}
    for signature in sorted(request.signatures, key=lambda s: s.at):
        if signature.content_hash == request.content_hash and not same_person(signature.person, request.requested_by):
            newest[" ".join(signature.person.split()).casefold()] = signature
    return list(newest.values())


def assigned(request: ApprovalRequest, *, now: datetime) -> dict[int, Signature]:
    """Place → signature: as many places taken as can be. A person takes one place, whatever roles they hold."""
    slots, signatures = slots_of(request.needs), counting(request)
    edges = [[j for j, signature in enumerate(signatures) if fits(slot, signature, now=now)] for slot in slots]
    return {place: signatures[j] for place, j in matching(edges).items()}


def matching(edges: Sequence[Sequence[int]]) -> dict[int, int]:
    """A largest matching of a bipartite graph: left index → right index. Source: Kuhn's augmenting paths (1955)."""
    taken: dict[int, int] = {}

    def augment(left: int, seen: set[int]) -> bool:
        for right in edges[left]:
            if right in seen:
                continue
            seen.add(right)
            if right not in taken or augment(taken[right], seen):
                taken[right] = left
                return True
        return False

    for left in range(len(edges)):
        augment(left, set())
    return {left: right for right, left in taken.items()}


def missing(request: ApprovalRequest, *, now: datetime) -> list[Slot]:
    """The places that nobody has taken."""
    taken = assigned(request, now=now)
    return [slot for place, slot in enumerate(slots_of(request.needs)) if place not in taken]


def complete(request: ApprovalRequest, *, now: datetime) -> bool:
    """Whether every place is taken."""
    return not missing(request, now=now)


def useful(request: ApprovalRequest, signature: Signature, *, now: datetime) -> bool:
    """Whether a signature can take any place at all."""
    return any(fits(slot, signature, now=now) for slot in slots_of(request.needs))


def count_roles(roles: Iterable[Role]) -> str:
    """``2 release-managers and 1 director``."""
    listed = list(roles)
    parts = [f"{n} {role}{'s' if n > 1 else ''}" for role in Role if (n := listed.count(role))]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def still_missing(request: ApprovalRequest, *, now: datetime) -> str:
    """What is still missing, in a sentence."""
    if not request.waiting:
        by = f" by {request.decided_by}" if request.decided_by else ""
        return f"{request.state.value}{by}{': ' + request.outcome if request.outcome else ''}"
    places = missing(request, now=now)
    signed = sorted({s.person for s in assigned(request, now=now).values()})
    have = f"; signed by {', '.join(signed)}" if signed else ""
    needed = f"waits for {count_roles(slot.role for slot in places)}" if places else "has every signature"
    return f"{needed} in {request.scope}, not {request.requested_by}{have}; expires {request.expires_at:%Y-%m-%d %H:%M} UTC"
