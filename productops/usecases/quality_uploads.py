"""Reports that are too large to be judged while their sender waits: kept on disk, and judged by whoever comes first.

A crash loses nothing: files are complete before their row is written, a claim lapses when nobody renews it, and a second judgement of
the same upload is the same run.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path

import structlog

from productops.adapters.quality_files import ReportFile, kept_files, read_files
from productops.domain.governance_access import MACHINE, Operation
from productops.domain.quality import Parsed
from productops.domain.quality_runs import QualitySource, Upload, UploadState
from productops.errors import NotFoundError, ProductOpsError, QualityInputError
from productops.store.identity import new_id
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import demand, service_for
from productops.usecases.quality_validate import ValidateRequest, validate_quality

LEASE = timedelta(seconds=90)
RENEW_S = 30.0
ATTEMPTS_MAX = 5
AT_ONCE = 20
ORPHAN_S = 86_400.0
INCOMING = ".incoming-"
log = structlog.get_logger(__name__)


def check_validate(context: Context, service: str, *, actor: Actor) -> None:
    """Before anything is fetched for a caller. Raises: NotFoundError, ForbiddenError, StoreUnavailableError."""
    with context.store.read() as unit:
        service_for(unit, service, actor, Operation.QUALITY_VALIDATE, seen_by=Operation.QUALITY_READ)


def incoming_folder(root: Path) -> Path:
    """A new folder for files that are still being sent; ``accept_upload`` takes it, ``tidy_uploads`` removes one that was left."""
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = root / f"{INCOMING}{uuid.uuid4().hex}"
    folder.mkdir(mode=0o700)
    return folder


def accept_upload(context: Context, request: ValidateRequest, incoming: Path, root: Path, *, actor: Actor) -> Upload:
    """Take files that are complete; a repetition with the same idempotency key gets the first upload.

    Raises: NotFoundError, ForbiddenError, StoreUnavailableError.
    """
    with context.store.read() as unit:
        service = service_for(unit, request.service, actor, Operation.QUALITY_VALIDATE, seen_by=Operation.QUALITY_READ)
        key = _request_key(request, actor)
        known = unit.quality_uploads.by_request(key) if key else None
    if known is not None:
        return known
    files = kept_files(incoming)
    upload = Upload(
        id=str(new_id()), venture=service.venture, service=service.name, state=UploadState.WAITING, request=asdict(request), folder="",
        files=len(files), size_bytes=sum(file.path.stat().st_size for file in files), by=actor.name, origin=actor.origin,
        at=context.clock.now(),
    )  # fmt: skip
    folder = _settle(incoming, root / upload.id, files)
    upload = replace(upload, folder=str(folder))
    with context.store.write() as unit:
        unit.quality_uploads.add(upload, request_key=key)
        detail = {"service": service.name, "version": request.version, "files": upload.files, "size_bytes": upload.size_bytes}
        unit.audit.add(
            "quality.uploaded", f"quality-upload/{upload.id}", actor=actor.name, origin=actor.origin, now=upload.at, detail=detail
        )  # fmt: skip
    return upload


def _request_key(request: ValidateRequest, actor: Actor) -> str | None:
    if request.idempotency_key is None:
        return None
    parts = (actor.name, request.service, request.version, request.commit, request.idempotency_key)
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def _settle(incoming: Path, folder: Path, files: Sequence[ReportFile]) -> Path:
    """On the disk before anybody is told that it is."""
    for file in files:
        with file.path.open("rb") as opened:
            os.fsync(opened.fileno())
    incoming.rename(folder)
    return folder


def read_upload(context: Context, upload_id: str, *, actor: Actor) -> Upload:
    """Raises: NotFoundError, StoreUnavailableError."""
    missing = f"there is no upload {upload_id[:80]!r}"
    with context.store.read() as unit:
        upload = unit.quality_uploads.find(upload_id)
    if upload is None:
        raise NotFoundError(missing)
    demand(actor, Operation.QUALITY_READ, seen_by=Operation.QUALITY_READ, venture=upload.venture, missing=missing)
    return upload


def is_waiting(context: Context) -> bool:
    """Whether there is anything to judge."""
    with context.store.read() as unit:
        return bool(unit.quality_uploads.due(now=context.clock.now(), limit=1))


def judge_waiting(context: Context, *, owner: str, read: Callable[[Sequence[ReportFile]], Parsed] = read_files) -> int:
    """Judge all that wait, the oldest first; how many. Raises: StoreUnavailableError."""
    with context.store.read() as unit:
        due = unit.quality_uploads.due(now=context.clock.now(), limit=AT_ONCE)
    done = 0
    for upload in due:
        with context.store.write() as unit:
            ours = unit.quality_uploads.claim(upload.id, owner, now=context.clock.now(), lease=LEASE)
        if ours:
            _judge(context, replace(upload, attempts=upload.attempts + 1), owner, read)
            done += 1
    return done


def _judge(context: Context, upload: Upload, owner: str, read: Callable[[Sequence[ReportFile]], Parsed]) -> None:
    # Who sent it was allowed to when it was accepted.
    actor = Actor(name=upload.by, origin=upload.origin, principal=MACHINE)
    request = _request(upload)
    try:
        with _renewed(context, upload.id, owner):
            if upload.attempts > ATTEMPTS_MAX:
                raise QualityInputError(f"it was tried {ATTEMPTS_MAX} times and never came to an end; hand in smaller reports")
            files = kept_files(Path(upload.folder))
            if len(files) != upload.files:
                raise QualityInputError(
                    f"{upload.files - len(files)} of {upload.files} files are gone from {upload.folder}; hand them in again"
                )
            run = validate_quality(context, request, read(files), actor)
    except ProductOpsError as error:
        again = error.retryable and upload.attempts < ATTEMPTS_MAX
        log.warning("upload not judged", upload_id=upload.id, reason=str(error), again=again)
        _end(context, upload, owner, UploadState.WAITING if again else UploadState.FAILED, reason=str(error))
        return
    except BaseException:  # told to end, or out of memory: the next one need not wait for the claim to lapse
        _end(context, upload, owner, UploadState.WAITING)
        raise
    _end(context, upload, owner, UploadState.JUDGED, run_id=run.id)


def _request(upload: Upload) -> ValidateRequest:
    """As it was asked, with a key of its own: judged twice, it is one run."""
    asked = dict(upload.request)
    listed = {name: tuple(value) for name, value in asked.items() if isinstance(value, list)}
    return ValidateRequest(**(asked | listed | {"idempotency_key": f"upload-{upload.id}", "source": QualitySource(asked["source"])}))


def _end(context: Context, upload: Upload, owner: str, state: UploadState, *, run_id: str | None = None, reason: str = "") -> None:
    with context.store.write() as unit:
        now = context.clock.now()
        ours = unit.quality_uploads.end(upload.id, owner, state, now=now, run_id=run_id, reason=reason)
        if ours and state is UploadState.FAILED:
            detail = {"service": upload.service, "before": "working", "after": "failed"}
            unit.audit.add(
                "quality.upload_failed", f"quality-upload/{upload.id}", actor=upload.by, origin=upload.origin, now=now, reason=reason,
                detail=detail,
            )  # fmt: skip
    if ours and state is not UploadState.WAITING:
        shutil.rmtree(upload.folder, ignore_errors=True)


@contextmanager
def _renewed(context: Context, upload_id: str, owner: str) -> Iterator[None]:
    """Keep the claim for as long as the work takes."""
    over = threading.Event()

    def renew() -> None:
        while not over.wait(RENEW_S):
            try:
                with context.store.write() as unit:
                    unit.quality_uploads.renew(upload_id, owner, until=context.clock.now() + LEASE)
            except ProductOpsError as error:
                log.warning("claim of an upload not renewed", upload_id=upload_id, reason=str(error))

    thread = threading.Thread(target=renew, name="quality-lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(timeout=5)


def tidy_uploads(context: Context, root: Path) -> int:
    """Remove folders of uploads that are over or never came to be, once they are a day old; how many. Raises: StoreUnavailableError."""
    if not root.is_dir():
        return 0
    with context.store.read() as unit:
        needed = unit.quality_uploads.unfinished()
    old = [each for each in root.iterdir() if each.name not in needed and time.time() - each.stat().st_mtime > ORPHAN_S]
    for folder in old:
        shutil.rmtree(folder, ignore_errors=True)
    return len(old)
