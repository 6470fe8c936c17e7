"""Reports as they come in: files of a form, or names of files and addresses; small ones are judged at once, others later."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from json import JSONDecodeError
from pathlib import Path
from typing import Any, Final

from anyio import to_thread
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from productops.adapters.quality_fetch import ReportFetcher
from productops.adapters.quality_files import kept_files, read_files, safe_name
from productops.api.conventions import BYTES_MAX
from productops.domain.quality_runs import QualityRun, QualitySource, Upload
from productops.errors import InvalidInputError
from productops.settings import Settings
from productops.usecases.context import Actor, Context
from productops.usecases.quality_uploads import accept_upload, check_validate, incoming_folder
from productops.usecases.quality_validate import ValidateRequest, validate_quality

AT_ONCE_BYTES = 5 * 1024 * 1024
FILES_MAX: Final = 1_000
FIELDS_MAX = 100
FIELD_BYTES_MAX = 32 * 1024 * 1024
CEILING_BYTES = 1024 * 1024 * 1024
_FORM = "multipart/form-data"
_TEXT = r"^[^\x00-\x1f\x7f]*$"


class ValidateBody(BaseModel):
    """What is judged. In a form the same names are fields, `link` may come several times, and every file is a report."""

    model_config = ConfigDict(extra="forbid")

    service: str = Field(min_length=1, max_length=63, pattern=_TEXT, description="Name of the service in the catalog.")
    version: str = Field(min_length=1, max_length=128, pattern=_TEXT, description="Version the reports are of.")
    commit: str = Field(default="", max_length=64, pattern=_TEXT, examples=["4f1c9e7"], description="Commit the reports are of.")
    branch: str = Field(default="", max_length=255, pattern=_TEXT, examples=["main"], description="Branch it is on.")
    policy: str | None = Field(default=None, max_length=63, examples=[None], description="Name of a policy; left out: the service's.")
    source: QualitySource = QualitySource.CI
    diff: str | None = Field(
        default=None, max_length=FIELD_BYTES_MAX, examples=[None], description="The change as a unified diff, for the cover of its lines."
    )
    links: list[str] = Field(default_factory=list, max_length=20, examples=[[]], description="Pages that say more: the build, its logs.")
    artifacts: list[str] = Field(
        min_length=1, max_length=FILES_MAX, examples=[["reports/junit.xml"]],
        description="JSON only: paths below the folder of PRODUCTOPS_QUALITY_REPORTS, or https:// addresses.",
    )  # fmt: skip


_FORM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["service", "version", "files"],
    "properties": {
        **{name: {"type": "string"} for name in ("service", "version", "commit", "branch", "policy", "source", "diff", "link")},
        "files": {"type": "array", "items": {"type": "string", "format": "binary"}},
    },
}
# Its own parts are those of the document: the source of a run is in its answers, too.
_JSON_SCHEMA = ValidateBody.model_json_schema(ref_template="#/components/schemas/{model}")
_JSON_SCHEMA.pop("$defs")
DESCRIBED: dict[str, Any] = {
    BYTES_MAX: CEILING_BYTES,
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": _JSON_SCHEMA},
            _FORM: {"schema": _FORM_SCHEMA},
        },
    },
}


@dataclass(frozen=True, slots=True)
class Handed:
    """What was asked, and where its files lie now."""

    request: ValidateRequest
    folder: Path
    size_bytes: int


async def take_in(request: Request, context: Context, settings: Settings, key: str | None, *, actor: Actor) -> Handed:
    """Read the whole request. Raises: InvalidInputError, NotFoundError, ForbiddenError, DependencyError; HTTPException for another kind."""
    folder = await to_thread.run_sync(incoming_folder, settings.quality_folder)
    try:
        return await _take_in(request, settings, key, folder, may=lambda service: check_validate(context, service, actor=actor))
    except BaseException:
        await to_thread.run_sync(lambda: shutil.rmtree(folder, ignore_errors=True))
        raise


async def _take_in(request: Request, settings: Settings, key: str | None, folder: Path, *, may: Callable[[str], None]) -> Handed:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == _FORM:
        async with request.form(max_files=FILES_MAX, max_fields=FIELDS_MAX, max_part_size=FIELD_BYTES_MAX) as form:
            body, files = await _from_form(form)
            await to_thread.run_sync(may, body.service)
            await to_thread.run_sync(_keep, files, folder)
    elif kind in {"", "application/json"}:
        body = await _from_json(request)
        await to_thread.run_sync(may, body.service)
        fetcher = ReportFetcher(folder, settings.quality_reports, settings.quality_allow_private, settings.quality_upload_mb * 1_048_576)
        await to_thread.run_sync(lambda: [fetcher.take(reference) for reference in body.artifacts])
    else:
        raise HTTPException(415, f"Content-Type is {kind[:80]!r}; send {_FORM} or application/json")
    kept = kept_files(folder)
    wanted = ValidateRequest(
        service=body.service, version=body.version, commit=body.commit, branch=body.branch, source=body.source, policy=body.policy,
        idempotency_key=key, links=tuple(body.links), diff=body.diff, inputs=tuple(file.name for file in kept),
    )  # fmt: skip
    return Handed(wanted, folder, sum(file.path.stat().st_size for file in kept))


async def _from_json(request: Request) -> ValidateBody:
    try:
        return ValidateBody.model_validate(await request.json())
    except (JSONDecodeError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"the body is no JSON: {error}") from error
    except ValidationError as error:
        raise _refused(error) from error


async def _from_form(form: FormData) -> tuple[ValidateBody, list[UploadFile]]:
    fields: dict[str, Any] = {}
    files: list[UploadFile] = []
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            if name == "diff":
                fields["diff"] = (await value.read(FIELD_BYTES_MAX + 1)).decode("utf-8", "replace")
            else:
                files.append(value)
        elif name == "link":
            fields.setdefault("links", []).append(value)
        elif value != "" or name in {"service", "version"}:
            fields[name] = value
    if not files:
        raise InvalidInputError("the form holds no file; each report is a part with a file name (curl: -F files=@junit.xml)")
    try:
        return ValidateBody.model_validate(fields | {"artifacts": ["form"]}), files
    except ValidationError as error:
        raise _refused(error) from error


def _refused(error: ValidationError) -> RequestValidationError:
    """As a body that the framework reads itself."""
    found = error.errors(include_url=False, include_context=False)
    return RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in found])


def _keep(files: Sequence[UploadFile], folder: Path) -> None:
    """Under their own names where these are safe; a second file of one name gets a number."""
    taken: set[str] = set()
    for file in files:
        name = safe_name(file.filename or "report")
        number = 1
        while name in taken:
            number += 1
            name = safe_name(f"{number}-{file.filename or 'report'}")
        taken.add(name)
        place = folder / name
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("xb") as kept:
                shutil.copyfileobj(file.file, kept)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise InvalidInputError(f"the file {name!r} cannot stand beside the others: {error.strerror}") from error


def judge_at_once(context: Context, handed: Handed, *, actor: Actor) -> QualityRun:
    """Parse and judge; the files are gone afterwards. Raises: what ``validate_quality`` does, and QualityInputError."""
    try:
        return validate_quality(context, handed.request, read_files(kept_files(handed.folder)), actor)
    finally:
        shutil.rmtree(handed.folder, ignore_errors=True)


def judge_later(context: Context, handed: Handed, settings: Settings, *, actor: Actor) -> Upload:
    """Keep them until somebody judges them. Raises: what ``accept_upload`` does."""
    try:
        return accept_upload(context, handed.request, handed.folder, settings.quality_folder, actor=actor)
    finally:
        shutil.rmtree(handed.folder, ignore_errors=True)  # gone already when it was taken
