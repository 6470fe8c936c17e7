"""Reports that wait to be judged."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from productops.domain.quality_runs import Upload, UploadState
from productops.store.tables import QualityUploadRow


class QualityUploads:
    """Repository of uploads within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, upload: Upload, *, request_key: str | None) -> None:
        """Keep a new one."""
        self._session.add(
            QualityUploadRow(
                id=uuid.UUID(upload.id), venture=upload.venture, service=upload.service, state=upload.state.value,
                request=dict(upload.request), folder=upload.folder, files=upload.files, size_bytes=upload.size_bytes, by=upload.by,
                origin=upload.origin, at=upload.at, attempts=0, reason="", request_key=request_key,
            )
        )  # fmt: skip
        self._session.flush()

    def find(self, upload_id: str) -> Upload | None:
        """One by its id; None also for what is no id."""
        try:
            row = self._session.get(QualityUploadRow, uuid.UUID(upload_id), populate_existing=True)
        except ValueError:
            return None
        return _upload(row) if row else None

    def by_request(self, request_key: str) -> Upload | None:
        """The one an idempotency key stands for."""
        row = self._session.scalars(select(QualityUploadRow).where(QualityUploadRow.request_key == request_key)).first()
        return _upload(row) if row else None

    def due(self, *, now: datetime, limit: int) -> list[Upload]:
        """Those nobody works at, the oldest first."""
        row = QualityUploadRow
        free = or_(row.state == "waiting", (row.state == "working") & (row.claimed_until < now))
        return [_upload(found) for found in self._session.scalars(select(row).where(free).order_by(row.id).limit(limit))]

    def unfinished(self) -> set[str]:
        """Ids of all that are not over."""
        row = QualityUploadRow
        return {str(found) for found in self._session.scalars(select(row.id).where(row.state.in_(("waiting", "working"))))}

    def claim(self, upload_id: str, owner: str, *, now: datetime, lease: timedelta) -> bool:
        """Take it; False when somebody else was quicker."""
        row = QualityUploadRow
        free = or_(row.state == "waiting", (row.state == "working") & (row.claimed_until < now))
        changed = self._session.execute(
            update(row)
            .where(row.id == uuid.UUID(upload_id), free)
            .values(state="working", claimed_by=owner, claimed_until=now + lease, attempts=row.attempts + 1)
            .execution_options(synchronize_session=False)
        )
        return changed.rowcount == 1  # type: ignore[attr-defined, no-any-return]  # an UPDATE has one

    def renew(self, upload_id: str, owner: str, *, until: datetime) -> bool:
        """Keep a claim; False when it is not ours any more."""
        row = QualityUploadRow
        changed = self._session.execute(
            update(row)
            .where(row.id == uuid.UUID(upload_id), row.state == "working", row.claimed_by == owner)
            .values(claimed_until=until)
            .execution_options(synchronize_session=False)
        )
        return changed.rowcount == 1  # type: ignore[attr-defined, no-any-return]  # an UPDATE has one

    def end(
        self, upload_id: str, owner: str, state: UploadState, *, now: datetime, run_id: str | None = None, reason: str = ""
    ) -> bool:  # fmt: skip
        """Say how it ended, or with ``WAITING`` that somebody else may try; False when the claim is not ours any more."""
        row = QualityUploadRow
        over = state in {UploadState.JUDGED, UploadState.FAILED}
        changed = self._session.execute(
            update(row)
            .where(row.id == uuid.UUID(upload_id), row.state == "working", row.claimed_by == owner)
            .values(
                state=state.value, ended_at=now if over else None, run_id=uuid.UUID(run_id) if run_id else None, reason=reason,
                claimed_by=None, claimed_until=None,
            )
            .execution_options(synchronize_session=False)
        )  # fmt: skip
        return changed.rowcount == 1  # type: ignore[attr-defined, no-any-return]  # an UPDATE has one


def _upload(row: QualityUploadRow) -> Upload:
    return Upload(
        id=str(row.id), venture=row.venture, service=row.service, state=UploadState(row.state), request=row.request, folder=row.folder,
        files=row.files, size_bytes=row.size_bytes, by=row.by, origin=row.origin, at=row.at, attempts=row.attempts,
        ended_at=row.ended_at, run_id=str(row.run_id) if row.run_id else None, reason=row.reason,
    )  # fmt: skip
