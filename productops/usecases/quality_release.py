"""Whether a version may be released: asked when a release is requested, and again before its candidate is started."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import structlog

from productops.domain.catalog import Service
from productops.domain.quality_runs import AppliedPolicy, QualityRun, QualitySource
from productops.domain.release import Environment, Phase, Release
from productops.errors import ProductOpsError, QualityGateError
from productops.usecases.context import Actor, Context
from productops.usecases.quality_commands import Subject, run_commands, work_folder
from productops.usecases.quality_read import Standing, policy_for, quality_verdict_for
from productops.usecases.quality_validate import ValidateRequest, validate_quality

NOTE = "quality"
HEARTBEAT_S = 5.0
Mode = Literal["off", "advisory", "required"]
log = structlog.get_logger(__name__)


def mode_of(service: Service, policy: AppliedPolicy) -> Mode:
    """What the service's catalog entry says; left out: required where a policy is declared for it, else off."""
    if service.spec.rollout.quality is not None:
        return service.spec.rollout.quality
    return "required" if policy.revision else "off"


def check_release(context: Context, service: Service, version: str, environment: Environment) -> dict[str, Any]:
    """What the plan of a release notes of the gates; nothing where they are off. Only production is for users.

    Raises: QualityGateError when they have to pass and do not, with what to do.
    """
    if environment is not Environment.PRODUCTION:
        return {}
    mode, standing = _standing(context, service, version)
    if mode == "off":
        return {}
    if mode == "required" and not standing.may_go_out and not (standing.run is None and standing.policy.policy.spec.commands):
        raise QualityGateError(
            refusal(standing), version=version, policy=standing.policy.name, run=standing.run.id if standing.run else None
        )
    return {NOTE: _noted(mode, standing)}


def _standing(context: Context, service: Service, version: str) -> tuple[Mode, Standing]:
    with context.store.read() as unit:
        policy = policy_for(unit, service)
        if mode_of(service, policy) == "off":  # evidence need not be read
            return "off", Standing(service.name, version, policy)
        standing = quality_verdict_for(unit, service.name, version, now=context.clock.now())
    return mode_of(service, standing.policy), standing


def _noted(mode: Mode, standing: Standing) -> dict[str, Any]:
    state = standing.verdict.state.value if standing.verdict else "to run" if standing.policy.policy.spec.commands else "none"
    return {"mode": mode, "state": state, "run": standing.run.id if standing.run else None, "policy": standing.policy.name}


def _refused(standing: Standing) -> QualityGateError:
    run = standing.run.id if standing.run else None
    return QualityGateError(refusal(standing), version=standing.version, policy=standing.policy.name, run=run)


def refusal(standing: Standing) -> str:
    """Why it may not be released, and what to do."""
    title = f"{standing.service} {standing.version}"
    if standing.run is None or standing.verdict is None:
        return (
            f"the quality gates of policy {standing.policy.name} have not judged {title} yet; hand its reports in, then ask for the "
            f"release again: productops quality validate --service {standing.service} --version {standing.version} --junit '…' "
            "(or POST /api/v1/product-ops/quality/validate)"
        )
    gates = [gate for gate in standing.verdict.gates if gate.required and gate.state.value != "passed"]
    advice = next((gate.to_pass for gate in gates if gate.to_pass), "")
    return (
        f"{title} may not go out by the quality gates of policy {standing.policy.name}: {standing.verdict.sentence} {advice} "
        f"All of it: productops quality show {standing.run.id}"
    ).replace("  ", " ")


def pass_gates(context: Context, release: Release, *, root: Path, actor: Actor) -> Standing | None:
    """Before the candidate is started: run the policy's commands where nothing was judged yet, and ask again what the gates say.

    None: the gates were off when it was requested, or the release has begun. ``root``: below it reports lie while they are read.
    Raises: QualityGateError when they have to pass and do not, StoreUnavailableError.
    """
    noted = release.plan.get(NOTE)
    if not noted or release.phase is not Phase.REQUESTED:
        return None
    with context.store.read() as unit:
        service = unit.catalog.service(release.service)
    mode, standing = _standing(context, service, release.version)
    if mode != "off" and standing.run is None and standing.policy.policy.spec.commands:
        with _alive(context, release.id):
            _run_and_judge(context, release, root, actor=actor)
        mode, standing = _standing(context, service, release.version)
    note = _noted(mode, standing)
    with context.store.write() as unit:
        unit.audit.add(
            "release.gates_asked", f"release/{release.id}", actor=actor.name, origin=actor.origin, now=context.clock.now(),
            reason=standing.verdict.sentence if standing.verdict else "", detail={"version": release.version}, before=noted, after=note,
        )  # fmt: skip
    if mode == "required" and not standing.may_go_out:
        raise _refused(standing)
    return standing


def _run_and_judge(context: Context, release: Release, root: Path, *, actor: Actor) -> QualityRun | None:
    """An advisory gate that cannot be run stops nothing; a required one stays without a verdict, which refuses."""
    subject = Subject(release.service, release.version)
    try:
        with work_folder(root) as folder:
            done = run_commands(context, subject, out=folder, actor=actor)
            request = ValidateRequest(
                service=release.service, version=release.version, source=QualitySource.RELEASE, inputs=tuple(f.name for f in done.files)
            )
            return validate_quality(context, request, done.read(), actor)
    except ProductOpsError as error:
        if error.retryable:
            raise
        log.warning("the gates of a release could not be run", release_id=release.id, reason=str(error))
        return None


@contextmanager
def _alive(context: Context, release_id: str) -> Iterator[None]:
    """Tell now and then that the process lives: tests take minutes, and a silent release is taken over by another run."""
    over = threading.Event()

    def tell() -> None:
        while not over.wait(HEARTBEAT_S):
            try:
                with context.store.write() as unit:
                    unit.releases.note(release_id, heartbeat_at=context.clock.now())
            except ProductOpsError as error:
                log.warning("no heartbeat of a release", release_id=release_id, reason=str(error))

    thread = threading.Thread(target=tell, name=f"gates {release_id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
