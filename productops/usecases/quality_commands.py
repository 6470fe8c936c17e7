"""Runs the commands a policy names, and reads the reports they write."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from productops.adapters.quality_command import CommandResult, run_command
from productops.adapters.quality_files import ReportFile, kept_files, read_files
from productops.domain.catalog_quality import QualityCommand
from productops.domain.governance_access import Operation
from productops.domain.quality import Outcome, Parsed, Skipped, merged
from productops.errors import InvalidInputError, ProductOpsError
from productops.store import Unit
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import service_for
from productops.usecases.quality_collect import live_version, policy_for

NONE = "-"
_ARTIFACTS = "artifacts"


@dataclass(frozen=True, slots=True)
class Subject:
    """What is tested: a version of a service. ``policy`` names another than the service's."""

    service: str
    version: str
    commit: str = ""
    policy: str | None = None


@dataclass(frozen=True, slots=True)
class CommandsDone:
    """What the commands did; ``files`` are their reports, which lie below the folder that was given."""

    results: tuple[CommandResult, ...]
    failures: tuple[Skipped, ...]
    files: tuple[ReportFile, ...]

    def read(self) -> Parsed:
        """All reports as one, with what did not end well as something that nobody has seen. Raises: QualityInputError."""
        together = read_files(self.files) if self.files else Parsed()
        bad = any(case.outcome in {Outcome.FAILED, Outcome.ERROR} for case in together.tests)
        return merged([together, Parsed(skipped=(*self.failures, *(gap for each in self.results for gap in _gaps(each, bad=bad))))])


def _gaps(result: CommandResult, *, bad: bool) -> Iterator[Skipped]:
    """What a command's end says of its reports: a tool that failed beside failed tests said why, any other failure hides something."""
    where = f"command {result.name}"
    if not result.succeeded and not (result.exit_code is not None and bad):
        yield Skipped(where, f"{result.sentence}; its last words: {_last_words(result.output)}")
    if result.stale:
        yield Skipped(where, f"did not write {', '.join(result.stale[:5])} again; what is there is of an earlier run and was left out")


def _last_words(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return " / ".join(lines[-3:])[:500] or "none"


def run_commands(context: Context, subject: Subject, *, only: Collection[str] = (), out: Path, actor: Actor) -> CommandsDone:
    """Run the policy's commands one after the other, or those in ``only``, with output and reports below ``out``.

    A command that cannot be started is a failure to show, not an error: the others still run.
    Raises: NotFoundError, ForbiddenError, InvalidInputError for a name the policy has not, StoreUnavailableError.
    """
    with context.store.read() as unit:
        service = service_for(unit, subject.service, actor, Operation.QUALITY_VALIDATE, seen_by=Operation.QUALITY_READ)
        policy = policy_for(unit, service, subject.policy)
    declared = {command.name: command for command in policy.policy.spec.commands}
    missing = sorted(set(only) - set(declared))
    if missing:
        raise InvalidInputError(f"the policy {policy.name} has no command {', '.join(missing)}; it has {', '.join(declared) or 'none'}")
    results: list[CommandResult] = []
    failures: list[Skipped] = []
    for command in declared.values():
        if only and command.name not in only:
            continue
        try:
            results.append(run_command(_filled(command, subject), Path(service.base), out / command.name))
        except ProductOpsError as error:
            failures.append(Skipped(f"command {command.name}", str(error)))
    _note(context, subject, results, failures, actor=actor)
    files = tuple(_named(result.name, file) for result in results for file in kept_files(out / result.name / _ARTIFACTS))
    return CommandsDone(tuple(results), tuple(failures), files)


def _named(command: str, file: ReportFile) -> ReportFile:
    return ReportFile(file.path, f"{command}/{file.name}")


def _filled(command: QualityCommand, subject: Subject) -> QualityCommand:
    """In one pass: what replaces a placeholder is not looked through again. {python} is left to who starts it."""
    values: Mapping[str, str] = {"version": subject.version, "commit": subject.commit, "service": subject.service}
    return command.model_copy(update={"argv": tuple(_fill(part, values) for part in command.argv)})


def _fill(text: str, values: Mapping[str, str]) -> str:
    parts = text.split("{")
    done = [parts[0]]
    for part in parts[1:]:
        name, closed, rest = part.partition("}")
        done.append(values[name] + rest if closed and name in values else "{" + part)
    return "".join(done)


def _note(context: Context, subject: Subject, results: list[CommandResult], failures: list[Skipped], *, actor: Actor) -> None:
    """Programs ran on this machine in somebody's name: that is for the audit."""
    told = {result.name: result.sentence for result in results} | {gap.where.removeprefix("command "): gap.reason for gap in failures}
    if not told:
        return
    with context.store.write() as unit:
        unit.audit.add(
            "quality.commands_run", f"service/{subject.service}", actor=actor.name, origin=actor.origin, now=context.clock.now(),
            detail={"version": subject.version, "commands": told},
        )  # fmt: skip


def subjects_with_commands(context: Context, *, actor: Actor) -> list[Subject]:
    """Live versions in production of all services whose policy names commands and that the caller may have judged."""
    with context.store.read() as unit:
        found = [subject for service in unit.catalog.services() if (subject := _subject(unit, service.name, actor)) is not None]
    return sorted(found, key=lambda subject: subject.service)


def _subject(unit: Unit, name: str, actor: Actor) -> Subject | None:
    try:
        service = service_for(unit, name, actor, Operation.QUALITY_VALIDATE, seen_by=Operation.QUALITY_READ)
    except ProductOpsError:
        return None
    if not policy_for(unit, service, None).policy.spec.commands:
        return None
    live = live_version(unit, name)
    return Subject(name, live) if live else None


@contextmanager
def work_folder(root: Path) -> Iterator[Path]:
    """A folder of one's own below ``root``; gone at the end."""
    folder = root / uuid.uuid4().hex
    folder.mkdir(parents=True, mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
