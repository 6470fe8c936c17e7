"""Sealed evidence and who had it: rows in and out. Nothing in it is ever changed."""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Collection, Sequence
from functools import cached_property

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from productops.domain.governance_security_evidence import BYTES_MAX, Bundle, Custody, EvidenceItem, file_name
from productops.errors import ConflictError, NotFoundError
from productops.store.governance_security import Security, parse_id
from productops.store.tables import EvidenceBundleRow, EvidenceCustodyRow, EvidenceItemRow


class SealedEvidence:
    """Repository within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, bundle: Bundle, items: Sequence[EvidenceItem]) -> None:
        """Keep a sealed bundle with what is in it."""
        key = uuid.UUID(bundle.id)
        self._session.add(
            EvidenceBundleRow(
                id=key, incident_id=uuid.UUID(bundle.incident_id) if bundle.incident_id else None, venture=bundle.venture,
                title=bundle.title, taken_by=bundle.taken_by, taken_at=bundle.taken_at, manifest=bundle.manifest,
                manifest_hash=bundle.manifest_hash,
            )
        )  # fmt: skip
        self._session.flush()
        self._session.add_all(
            EvidenceItemRow(bundle_id=key, position=n, name=each.name[:255], kind=each.kind, packed=zlib.compress(each.content))
            for n, each in enumerate(items)
        )
        self._session.flush()

    def get(self, bundle_id: str) -> Bundle:
        """Raises: NotFoundError."""
        row = self._session.get(EvidenceBundleRow, parse_id(bundle_id, "evidence"))
        if row is None:
            raise NotFoundError(f"there is no evidence {bundle_id[:80]!r}; list it with: productops security evidence list")
        return _bundle(row)

    def page(
        self, *, ventures: Collection[str] | None, incident_id: str | None = None, before: str | None = None, limit: int = 50
    ) -> list[Bundle]:
        """Newest first; ``ventures`` None: of all, and of the installation. Raises: NotFoundError for what is no id."""
        row = EvidenceBundleRow
        query = select(row).order_by(row.id.desc()).limit(limit)
        if ventures is not None:
            query = query.where(row.venture.in_(sorted(ventures)))
        if incident_id is not None:
            query = query.where(row.incident_id == parse_id(incident_id, "incident"))
        if before is not None:
            query = query.where(row.id < parse_id(before, "evidence"))
        return [_bundle(each) for each in self._session.scalars(query)]

    def with_bundle(self, incident_ids: Collection[str]) -> set[str]:
        """Those of the incidents that have one."""
        row = EvidenceBundleRow
        found = self._session.scalars(select(row.incident_id).where(row.incident_id.in_([uuid.UUID(i) for i in incident_ids])))
        return {str(each) for each in found}

    def contents(self, bundle_id: str) -> dict[str, bytes]:
        """Of every item, by its name in an export; what cannot be unpacked any more is empty, which no hash fits."""
        row = EvidenceItemRow
        query = select(row.position, row.name, row.packed).where(row.bundle_id == parse_id(bundle_id, "evidence")).order_by(row.position)
        return {file_name(position, name): _unpacked(packed) for position, name, packed in self._session.execute(query)}

    def custody(self, bundle_id: str) -> list[Custody]:
        """In order."""
        row = EvidenceCustodyRow
        query = select(row).where(row.bundle_id == parse_id(bundle_id, "evidence")).order_by(row.number)
        return [
            Custody(r.number, r.at, r.action, r.who, r.to, r.reason, r.previous_hash, r.hash) for r in self._session.scalars(query)
        ]  # fmt: skip

    def add_custody(self, bundle_id: str, line: Custody) -> None:
        """Append a line. Raises: ConflictError when somebody else did at the same moment."""
        self._session.add(
            EvidenceCustodyRow(
                bundle_id=uuid.UUID(bundle_id), number=line.number, at=line.at, action=line.action, who=line.who, to=line.to,
                reason=line.reason, previous_hash=line.previous_hash, hash=line.hash,
            )
        )  # fmt: skip
        try:
            self._session.flush()
        except IntegrityError as error:
            raise ConflictError("somebody else had this evidence at the same moment; repeat it") from error


class SecurityParts:
    """The repositories of security operations."""

    _session: Session

    @cached_property
    def security(self) -> Security:
        """Policies, what the door saw, findings."""
        return Security(self._session)

    @cached_property
    def evidence(self) -> SealedEvidence:
        """Sealed evidence."""
        return SealedEvidence(self._session)


def _unpacked(packed: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(packed, BYTES_MAX)
    except zlib.error:
        return b""


def _bundle(row: EvidenceBundleRow) -> Bundle:
    return Bundle(
        str(row.id), str(row.incident_id) if row.incident_id else None, row.venture, row.title, row.taken_by, row.taken_at, row.manifest,
        row.manifest_hash,
    )  # fmt: skip
