"""Approval policies, requests and signatures: rows in and out, decisions by compare-and-set."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from productops.domain.catalog_approvals import Action, ApprovalPolicyEntry, ApprovalPolicySpec
from productops.domain.governance_access import Role
from productops.domain.governance_approvals import ApprovalRequest, ApprovalState, Need, Signature
from productops.domain.governance_approvals_policy import ApprovalPolicy
from productops.domain.release import Environment
from productops.errors import ConflictError, NotFoundError
from productops.store.tables import ApprovalPolicyRow, ApprovalRow, ApprovalSignatureRow, CatalogRevision

POLICY = "ApprovalPolicy"


@dataclass(frozen=True, slots=True)
class ApprovalFilter:
    """Which requests. ``ventures`` None: all; a request of no venture is shown to who sees all."""

    state: ApprovalState | None = None
    action: Action | None = None
    venture: str | None = None
    subject: str | None = None
    ventures: frozenset[str] | None = None


def _policy(row: ApprovalPolicyRow) -> ApprovalPolicy:
    return ApprovalPolicy(row.name, row.venture, ApprovalPolicySpec.model_validate(row.spec), row.base, row.version)


class ApprovalPolicies:
    """Repository of policies within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def all(self) -> list[ApprovalPolicy]:
        """Every declared policy, by name."""
        query = select(ApprovalPolicyRow).order_by(ApprovalPolicyRow.name).execution_options(populate_existing=True)
        return [_policy(row) for row in self._session.scalars(query)]

    def find(self, name: str) -> ApprovalPolicy | None:
        """None when there is none of that name."""
        row = self._session.get(ApprovalPolicyRow, name, populate_existing=True)
        return _policy(row) if row else None

    def put(self, entry: ApprovalPolicyEntry, *, base: str, author: str, now: datetime) -> str:
        """Insert or update; returns 'created', 'changed' or 'unchanged'. Each change is a version."""
        name, spec = entry.metadata.name, entry.spec.model_dump(mode="json")
        row = self._session.get(ApprovalPolicyRow, name)
        if row is None:
            version = self._revise(name, {"venture": entry.metadata.venture} | spec, author=author, now=now)
            self._session.add(ApprovalPolicyRow(name=name, venture=entry.metadata.venture, spec=spec, base=base, version=version))
            self._session.flush()
            return "created"
        if (row.spec, row.venture) == (spec, entry.metadata.venture):
            row.base = base
            return "unchanged"
        row.version = self._revise(name, {"venture": entry.metadata.venture} | spec, author=author, now=now)
        row.spec, row.venture, row.base = spec, entry.metadata.venture, base
        self._session.flush()
        return "changed"

    def remove(self, name: str) -> None:
        """Forget a policy; its revisions stay."""
        self._session.execute(delete(ApprovalPolicyRow).where(ApprovalPolicyRow.name == name))

    def _revise(self, name: str, spec: dict[str, Any], *, author: str, now: datetime) -> int:
        query = select(CatalogRevision.revision).where(CatalogRevision.kind == POLICY, CatalogRevision.name == name)
        revision = (self._session.scalar(query.order_by(CatalogRevision.revision.desc()).limit(1)) or 0) + 1
        self._session.add(CatalogRevision(kind=POLICY, name=name, revision=revision, spec=spec, author=author, applied_at=now))
        return revision


def parse_id(approval_id: str) -> uuid.UUID:
    """Raises: NotFoundError for a text that is no id."""
    try:
        return uuid.UUID(approval_id)
    except ValueError as error:
        raise NotFoundError(f"there is no approval {approval_id[:80]!r}") from error


def _signature(row: ApprovalSignatureRow) -> Signature:
    return Signature(str(row.id), row.person, frozenset(map(Role, row.roles)), row.content_hash, row.note, row.origin, row.at)


class Approvals:
    """Repository of requests and signatures within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, request: ApprovalRequest) -> None:
        """Insert a request. Raises: ConflictError when one about the same subject waits already."""
        self._session.add(
            ApprovalRow(
                id=uuid.UUID(request.id), subject=request.subject, open_key=request.subject if request.waiting else None,
                action=request.action.value, title=request.title, venture=request.venture,
                environment=request.environment.value if request.environment else None, requested_by=request.requested_by,
                reason=request.reason, content=request.content, content_hash=request.content_hash, facts=list(request.facts),
                needs=[need.to_dict() for need in request.needs], state=request.state.value, created_at=request.created_at,
                expires_at=request.expires_at, decided_by="", outcome="",
            )
        )  # fmt: skip
        try:
            self._session.flush()
        except IntegrityError as error:
            raise ConflictError(f"{request.subject} waits for signatures already") from error

    def get(self, approval_id: str, *, lock: bool = False) -> ApprovalRequest:
        """With its signatures; ``lock``: nobody else decides it before this transaction ends. Raises: NotFoundError."""
        row = self._session.get(ApprovalRow, parse_id(approval_id), populate_existing=True, with_for_update=lock or None)
        if row is None:
            raise NotFoundError(f"there is no approval {approval_id[:80]!r}")
        return self._requests([row])[0]

    def of_subject(self, subject: str) -> ApprovalRequest | None:
        """The newest request about a subject; None when nobody ever had to sign."""
        query = select(ApprovalRow).where(ApprovalRow.subject == subject).order_by(ApprovalRow.id.desc()).limit(1)
        row = self._session.scalar(query.execution_options(populate_existing=True))
        return self._requests([row])[0] if row else None

    def newest(self, wanted: ApprovalFilter, *, before: str | None = None, limit: int = 50) -> list[ApprovalRequest]:
        """Newest first; ``before`` is the id of the last one seen."""
        row = ApprovalRow
        query = select(row).order_by(row.id.desc()).limit(limit)
        for column, value in ((row.venture, wanted.venture), (row.subject, wanted.subject)):
            query = query.where(column == value) if value is not None else query
        if wanted.state is not None:
            query = query.where(row.state == wanted.state.value)
        if wanted.action is not None:
            query = query.where(row.action == wanted.action.value)
        if wanted.ventures is not None:
            query = query.where(row.venture.in_(sorted(wanted.ventures)))
        if before:
            query = query.where(row.id < parse_id(before))
        return self._requests(list(self._session.scalars(query)))

    def waiting(self) -> list[ApprovalRequest]:
        """Every request that waits, oldest first."""
        query = select(ApprovalRow).where(ApprovalRow.open_key.is_not(None)).order_by(ApprovalRow.id)
        return self._requests(list(self._session.scalars(query)))

    def sign(self, approval_id: str, signature: Signature) -> None:
        """Add a signature."""
        self._session.add(
            ApprovalSignatureRow(
                id=uuid.UUID(signature.id), request_id=parse_id(approval_id), person=signature.person,
                roles=sorted(role.value for role in signature.roles), content_hash=signature.content_hash, note=signature.note,
                origin=signature.origin, at=signature.at,
            )
        )  # fmt: skip
        self._session.flush()

    def decide(self, request: ApprovalRequest, state: ApprovalState, *, by: str, outcome: str, now: datetime) -> ApprovalRequest:
        """End the wait. Raises: ConflictError when somebody else did."""
        values = {"state": state.value, "open_key": None, "decided_at": now, "decided_by": by, "outcome": outcome}
        self._set(request.id, ApprovalRow.state == request.state.value, f"is no longer {request.state}", **values)
        return self.get(request.id)

    def renew(self, request: ApprovalRequest, *, content: dict[str, Any], content_hash: str, expires_at: datetime) -> ApprovalRequest:
        """What is asked for is another thing now: earlier signatures lapse and it waits again. Raises: ConflictError."""
        values: dict[str, Any] = {
            "content": content, "content_hash": content_hash, "state": ApprovalState.WAITING.value, "open_key": request.subject,
            "decided_at": None, "decided_by": "", "outcome": "", "expires_at": expires_at,
        }  # fmt: skip
        self._set(request.id, ApprovalRow.content_hash == request.content_hash, "changed at this very moment", **values)
        return self.get(request.id)

    def tighten(self, request: ApprovalRequest, needs: Iterable[Need]) -> None:
        """Make an open request need more. Raises: ConflictError when it was decided meanwhile."""
        listed = [need.to_dict() for need in needs]
        self._set(request.id, ApprovalRow.open_key.is_not(None), "was decided at this very moment", needs=listed)

    def _set(self, approval_id: str, condition: Any, otherwise: str, **values: Any) -> None:
        changed = self._session.execute(
            update(ApprovalRow)
            .where(ApprovalRow.id == parse_id(approval_id), condition)
            .values(**values)
            .execution_options(synchronize_session=False)
        )
        if changed.rowcount != 1:  # type: ignore[attr-defined]
            raise ConflictError(f"approval {approval_id} {otherwise}; read it again")

    def _requests(self, rows: Collection[ApprovalRow]) -> list[ApprovalRequest]:
        signed: dict[uuid.UUID, list[Signature]] = {}
        if rows:
            query = select(ApprovalSignatureRow).where(ApprovalSignatureRow.request_id.in_([row.id for row in rows]))
            for found in self._session.scalars(query.order_by(ApprovalSignatureRow.id)):
                signed.setdefault(found.request_id, []).append(_signature(found))
        return [_request(row, signed.get(row.id, [])) for row in rows]


def _request(row: ApprovalRow, signatures: Iterable[Signature]) -> ApprovalRequest:
    return ApprovalRequest(
        id=str(row.id), subject=row.subject, action=Action(row.action), title=row.title, venture=row.venture,
        environment=Environment(row.environment) if row.environment else None, requested_by=row.requested_by, reason=row.reason,
        content=row.content, content_hash=row.content_hash, facts=tuple(row.facts), needs=tuple(Need.from_dict(n) for n in row.needs),
        state=ApprovalState(row.state), created_at=row.created_at, expires_at=row.expires_at, decided_at=row.decided_at,
        decided_by=row.decided_by, outcome=row.outcome, signatures=tuple(signatures),
    )  # fmt: skip
