"""The steps of judging a version as Prefect tasks."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass
from pathlib import Path

from prefect import runtime, task
from prefect.artifacts import acreate_image_artifact, acreate_markdown_artifact

from blocks.installation import context, settings
from productops.adapters.quality_fetch import ReportFetcher
from productops.adapters.quality_files import kept_files
from productops.adapters.quality_pictures import RUNS_SHOWN, SERIES_SHOWN, SeriesStory, draw_coverage, draw_performance
from productops.domain.quality import Parsed, Skipped, merged
from productops.domain.quality_gates_performance import name_of
from productops.domain.quality_report import verdict_markdown
from productops.domain.quality_runs import QualityRun, QualitySource
from productops.errors import InvalidInputError
from productops.usecases import quality_commands, quality_validate
from productops.usecases.context import OURSELVES, Actor
from productops.usecases.quality_collect import live_version
from productops.usecases.quality_commands import CommandsDone, Subject
from productops.usecases.quality_read import series_runs_of
from tasks.artifacts import publish
from tasks.callers import caller
from tasks.release import retrying


@dataclass(frozen=True, slots=True)
class Wanted:
    """One version to judge. ``commands`` None: none of them; empty: all. ``reports`` are paths or addresses."""

    subject: Subject
    branch: str
    commands: tuple[str, ...] | None
    reports: tuple[str, ...]
    actor: Actor

    @property
    def title(self) -> str:
        """What it is called."""
        return f"{self.subject.service} {self.subject.version}"


class Evidence:
    """Everything that was handed in. No dataclass: Prefect walks through those, and there may be a hundred thousand tests."""

    def __init__(self, parsed: Parsed, names: tuple[str, ...]) -> None:
        self.parsed = parsed
        self.names = names


@task(**retrying("plan", "plan what to judge"))
async def plan(service: str, version: str, commit: str, branch: str, commands: str, reports: str, policy: str) -> list[Wanted]:
    """The named service, or each one whose policy names commands. Raises: InvalidInputError, NotFoundError, ForbiddenError."""
    who = await caller()
    listed = _listed(reports)
    if not service:
        if version or listed:
            raise InvalidInputError("say whose version and reports these are: Service is empty")
        subjects = await asyncio.to_thread(quality_commands.subjects_with_commands, context(), actor=who)
        return [Wanted(subject, branch, (), (), who) for subject in subjects]
    found = version or await asyncio.to_thread(_live, service)
    chosen = None if commands.strip() == quality_commands.NONE else _listed(commands)
    return [Wanted(Subject(service, found, commit, policy or None), branch, chosen, listed, who)]


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _live(service: str) -> str:
    with context().store.read() as unit:
        live = live_version(unit, service)
    if live is None:
        raise InvalidInputError(f"users of {service[:80]!r} in production have no version yet: say which one is to be judged")
    return live


@task(name="collect", task_run_name="collect for {title}", persist_result=False)
async def collect(wanted: Wanted, title: str) -> Evidence:  # noqa: ARG001 - the title is the run's name
    """Run the policy's commands, fetch the named reports, and read all of them. No retries: they hide flaky tests."""
    return await asyncio.to_thread(_collect, wanted)


def _collect(wanted: Wanted) -> Evidence:
    with quality_commands.work_folder(settings().home / "quality-runs") as folder:
        done = CommandsDone((), (), ())
        if wanted.commands is not None:
            done = quality_commands.run_commands(
                context(), wanted.subject, only=wanted.commands, out=folder / "commands", actor=wanted.actor
            )  # fmt: skip
        fetched = folder / "reports"
        fetched.mkdir()
        found = settings()
        fetcher = ReportFetcher(fetched, found.quality_reports, found.quality_allow_private, found.quality_upload_mb * 1_048_576)
        for reference in wanted.reports:
            fetcher.take(reference)
        return _read(done, fetched)


def _read(done: CommandsDone, fetched: Path) -> Evidence:
    """Raises: InvalidInputError when there is nothing at all."""
    from productops.adapters.quality_files import read_files

    files = kept_files(fetched)
    if not files and not done.results and not done.failures:
        raise InvalidInputError("there is nothing to judge: name reports, or commands in the policy")
    parsed = merged([done.read(), read_files(files) if files else Parsed()])
    if not parsed.formats and not parsed.skipped:
        parsed = merged([parsed, Parsed(skipped=(Skipped("commands", "they wrote no report; do their artifacts name the right files?"),))])
    return Evidence(parsed, tuple(file.name for file in (*done.files, *files)))


@task(**retrying("judge", "judge {title}"))
async def judge(wanted: Wanted, evidence: Evidence, title: str) -> QualityRun:  # noqa: ARG001 - the title is the run's name
    """Judge all gates and keep the run; a repetition is the same run."""
    subject = wanted.subject
    request = quality_validate.ValidateRequest(
        service=subject.service, version=subject.version, commit=subject.commit, branch=wanted.branch, source=QualitySource.FLOW,
        policy=subject.policy, idempotency_key=f"flow-run-{runtime.flow_run.id}", links=(), diff=None, inputs=evidence.names,
    )  # fmt: skip
    return await asyncio.to_thread(quality_validate.validate_quality, context(), request, evidence.parsed, wanted.actor)


@task(**retrying("show", "show {title}"))
async def show(run: QualityRun, evidence: Evidence, title: str) -> None:
    """The table of gates, and pictures of coverage and performance, for the Prefect UI."""
    key = "".join(c if c.isalnum() else "-" for c in run.service.lower())
    table = verdict_markdown(run.verdict, title=title)
    await publish(acreate_markdown_artifact(markdown=table, key=f"quality-{key}", description=run.verdict.sentence))
    if evidence.parsed.coverage:
        picture = await asyncio.to_thread(draw_coverage, evidence.parsed.coverage, title=title, wanted_pct=None)
        await publish(acreate_image_artifact(image_url=_data_url(picture), key=f"coverage-{key}", description="lines that ran in tests"))
    if evidence.parsed.series:
        picture = await asyncio.to_thread(_performance, run, evidence.parsed)
        await publish(
            acreate_image_artifact(image_url=_data_url(picture), key=f"performance-{key}", description="this run and those before")
        )


def _performance(run: QualityRun, parsed: Parsed) -> bytes:
    stories = []
    for series in parsed.series[:SERIES_SHOWN]:
        before = series_runs_of(context(), run.service, name_of(series), actor=OURSELVES, limit=RUNS_SHOWN)
        stories.append(SeriesStory.of(series, [each.values for each in before if each.run_id != run.id]))
    return draw_performance(stories, title=run.title)


def _data_url(picture: bytes) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(picture).decode()}"
