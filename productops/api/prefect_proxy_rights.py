"""Whether a caller may send this to Prefect; and what goes on record when Prefect took it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import structlog
from anyio import to_thread

from productops.api.prefect_proxy_redact import NO_SECRETS, asks_for_secrets, without_masks
from productops.api.prefect_proxy_rules import Kind, Rule, beyond_the_form, classify, operation_of_state
from productops.domain.governance_access import Operation
from productops.errors import ForbiddenError, NotFoundError, OrchestratorError
from productops.usecases.context import Actor, Context
from productops.usecases.prefect_proxy import check_known, check_run, check_start, note_caller, note_write

log = structlog.get_logger(__name__)

# A run that is due later than this is not begun before its caller is on record.
SOON = timedelta(seconds=5)


@dataclass(slots=True)
class Verdict:
    """The caller may. ``body``: what is sent instead of theirs. ``held``: the run is made pending, and scheduled once on record."""

    rule: Rule
    operation: Operation
    body: bytes | None = None
    parameters: Mapping[str, Any] | None = None
    held: Mapping[str, Any] | None = None

    @property
    def noted(self) -> bool:
        """Whether it goes on record."""
        return self.rule.kind in {Kind.START, Kind.STATE, Kind.RESUME, Kind.MANAGE}


@dataclass(slots=True)
class Rights:
    """The rights of one caller. ``http`` speaks to Prefect as ourselves."""

    context: Context
    http: httpx.AsyncClient
    actor: Actor

    async def judge(self, method: str, path: str, query: str, body: bytes) -> Verdict:
        """Raises: ForbiddenError with the reason; NotFoundError, OrchestratorError when Prefect does not tell what it is about."""
        rule = classify(method, path)
        document = _document(body)
        if asks_for_secrets(query, document):
            raise ForbiddenError(NO_SECRETS)
        if rule.kind is Kind.OPEN:
            check_known(self.actor)
            return Verdict(rule, Operation.PREFECT_READ)
        if rule.kind is Kind.READ:
            self.actor.check(Operation.PREFECT_READ)
            return Verdict(rule, Operation.PREFECT_READ)
        if rule.kind is Kind.START:
            return await self._start(rule, document)
        if rule.kind in {Kind.STATE, Kind.RESUME}:
            return await self._change(rule, document)
        self.actor.check(Operation.PREFECT_MANAGE)
        changed = without_masks(document) if method in {"PATCH", "PUT"} and path.startswith("/block_documents/") else document
        return Verdict(rule, Operation.PREFECT_MANAGE, body=json.dumps(changed).encode() if changed is not document else None)

    async def _start(self, rule: Rule, document: Any) -> Verdict:
        extra = beyond_the_form(document)
        if extra:
            self.actor.check(Operation.PREFECT_MANAGE)
        deployment = await self._look_up(f"/deployments/{rule.id}", "deployment")
        given = document.get("parameters") if isinstance(document, dict) else None
        parameters = {**(deployment.get("parameters") or {}), **(given if isinstance(given, dict) else {})}
        entrypoint = str(deployment.get("entrypoint") or "")
        operation = await to_thread.run_sync(lambda: check_start(self.context, entrypoint, parameters, actor=self.actor))
        held = _held(document) if not extra else None
        body = json.dumps(document | {"state": {"type": "PENDING", "message": "its caller is written down"}}).encode() if held else None
        return Verdict(rule, operation, parameters=parameters, held=held, body=body)

    async def _change(self, rule: Rule, document: Any) -> Verdict:
        operation = Operation.RELEASE_PAUSE if rule.kind is Kind.RESUME else operation_of_state(document)
        if operation is Operation.PREFECT_MANAGE:
            self.actor.check(operation)
            return Verdict(rule, operation)
        run = await self._look_up(f"/flow_runs/{rule.id}", "flow run")
        parameters = run.get("parameters") or {}
        await to_thread.run_sync(lambda: check_run(self.context, rule.id, parameters, operation, actor=self.actor))
        return Verdict(rule, operation)

    async def note(self, verdict: Verdict, method: str, path: str, status: int, content: bytes) -> None:
        """Write down what Prefect took; then let a held run begin. Raises: StoreUnavailableError, and the run does not begin."""
        if not 200 <= status < 300:
            return
        document = _document(content)
        if verdict.rule.kind is not Kind.START:
            await to_thread.run_sync(
                lambda: note_write(self.context, method=method, path=path, status=status, operation=verdict.operation, actor=self.actor)
            )
            return
        run_id = str(document.get("id", "")) if isinstance(document, dict) else ""
        if not run_id:
            raise OrchestratorError("Prefect made a run and did not say which")
        await to_thread.run_sync(
            lambda: note_caller(self.context, run_id, parameters=verdict.parameters or {}, operation=verdict.operation, actor=self.actor)
        )
        if verdict.held is not None and status == 201:
            await self._schedule(run_id, verdict.held)

    async def _schedule(self, run_id: str, state: Mapping[str, Any]) -> None:
        """Let a held run begin. When Prefect does not take that now, the dispatcher begins it within a minute all the same."""
        try:
            answer = await self.http.get("/csrf-token", params={"client": run_id})
            headers = {"Prefect-Csrf-Client": run_id}
            if answer.is_success:
                headers["Prefect-Csrf-Token"] = str(answer.json().get("token", ""))
            answer = await self.http.post(f"/flow_runs/{run_id}/set_state", json={"state": dict(state), "force": True}, headers=headers)
            answer.raise_for_status()
        except (httpx.HTTPError, ValueError) as error:
            log.warning("run not scheduled at once", flow_run_id=run_id, reason=str(error) or type(error).__name__)

    async def _look_up(self, path: str, what: str) -> Mapping[str, Any]:
        try:
            answer = await self.http.get(path)
        except httpx.HTTPError as error:
            raise OrchestratorError(f"Prefect does not answer ({error or type(error).__name__})") from error
        if answer.status_code == 404:
            raise NotFoundError(f"Prefect has no such {what}")
        found = _document(answer.content)
        if not answer.is_success or not isinstance(found, dict):
            raise OrchestratorError(f"Prefect answered {answer.status_code} when asked for the {what}")
        return found


def _document(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return None


def _held(document: Any) -> Mapping[str, Any] | None:
    """The state that a held run is given afterwards; None for a run that is due later, which need not be held."""
    state = document.get("state") if isinstance(document, dict) else None
    state = dict(state) if isinstance(state, dict) else {"type": "SCHEDULED"}
    at = (state.get("state_details") or {}).get("scheduled_time")
    try:
        later = at is not None and datetime.fromisoformat(str(at)) - datetime.now(UTC) > SOON
    except (ValueError, TypeError):
        later = False
    return None if later else {"message": "started through the API's door to Prefect", **state, "type": "SCHEDULED"}
