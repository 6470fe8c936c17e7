"""A service process that evaluates a flag over OFREP, a real API that answers it, and users who remember what they had."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import structlog

from productops.adapters.doorbell import Doorbell
from productops.domain.analysis import Verdict
from productops.domain.catalog_flags import FlagSpec, Ramp
from productops.domain.governance_access import MACHINE
from productops.domain.release import Cause, Release
from productops.logs import set_up_logs
from productops.settings import Settings
from productops.store import Store
from productops.usecases import release_judge, release_resume, release_rollback, release_run
from productops.usecases.context import Actor, Context
from productops.usecases.release_flags_change import create_flag
from tests.integration.agent_lab import PRODUCTION, SOMEBODY, AgentLab
from tests.integration.envoy_support import LOOPBACK
from tests.integration.test_api.support import TOKEN, serving

FLAG = "new-checkout"
TARGET = f"{FLAG}@on"

# The service: for each request it asks OFREP what the user (header x-user) has, and says so in its answer. behaviour.json: port and
# token of the API, bad_share (failures among users who have the feature), broken_flags (it cannot ask, so everybody has the default).
SERVICE = """
import http.client, http.server, json, pathlib, random, signal, sys, threading, time
HERE = pathlib.Path(__file__).parent
LOCAL = threading.local()
def evaluated(now, user):
    body = json.dumps({"context": {"targetingKey": user}})
    for again in (True, False):
        try:
            if not hasattr(LOCAL, "connection"):
                LOCAL.connection = http.client.HTTPConnection("127.0.0.1", now["port"], timeout=2)
            LOCAL.connection.request("POST", "/ofrep/v1/evaluate/flags/new-checkout", body,
                {"content-type": "application/json", "authorization": "Bearer " + now["token"]})
            return json.loads(LOCAL.connection.getresponse().read())["variant"]
        except (OSError, http.client.HTTPException):
            del LOCAL.connection
    return "off"
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        status, headers = 200, {}
        if self.path not in ("/healthz", "/plain"):
            now = json.loads((HERE / "behaviour.json").read_text())
            variant = evaluated(now, self.headers.get("x-user", "nobody"))
            headers = {"x-productops-exposure": "new-checkout=" + variant}
            if variant == "on" and random.random() < now.get("bad_share", 0):
                status = 500
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever(poll_interval=0.05)
"""


@dataclass
class Users:
    """Users who ask one after the other, each by a name of its own. ``had`` is what each was given, in order, without repetitions."""

    lab: AgentLab
    users: int = 120
    connections: int = 6
    pause_s: float = 0.02
    had: dict[str, list[str]] = field(default_factory=dict)
    answers: Counter[tuple[int, str]] = field(default_factory=Counter)
    failures_at: list[float] = field(default_factory=list)
    running: bool = True

    def __post_init__(self) -> None:
        loop = self.lab.thread.loop
        self.work = [asyncio.run_coroutine_threadsafe(self._connection(n), loop) for n in range(self.connections)]

    def stop(self) -> Users:
        """End every connection after its answer."""
        self.running = False
        for work in self.work:
            work.result(30)
        return self

    @property
    def share_on(self) -> float:
        """Share of users who have the feature now, in percent."""
        return 100.0 * sum(variants[-1] == "on" for variants in self.had.values()) / max(1, len(self.had))

    async def _connection(self, number: int) -> None:
        reader, writer = await asyncio.open_connection(LOOPBACK, self.lab.settings.router_port)
        turn = number
        while self.running:
            user = f"user-{turn % self.users}"
            turn += self.connections
            writer.write(f"GET / HTTP/1.1\r\nhost: shop.localhost\r\nx-user: {user}\r\n\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
            await reader.readexactly(int(fields.get("content-length", 0)))
            self._note(user, int(head.split(" ", 2)[1]), fields.get("x-productops-exposure", "").partition("=")[2])
            await asyncio.sleep(self.pause_s)
        writer.close()

    def _note(self, user: str, status: int, variant: str) -> None:
        self.answers[status, variant] += 1
        if status >= 500:
            self.failures_at.append(time.monotonic())
        seen = self.had.setdefault(user, [])
        if variant and seen[-1:] != [variant]:
            seen.append(variant)


def flag_ramp(context: Context) -> Ramp | None:
    """How far the flag is ramped."""
    with context.store.read() as unit:
        return unit.flags.get(FLAG).state.live_in(PRODUCTION).ramp


def stored(context: Context, release_id: str) -> Release:
    """The release as it stands."""
    with context.store.read() as unit:
        return unit.releases.get(release_id)


def carry_out(context: Context, release_id: str, *, run: str) -> Release:
    """What flows/release.py tells, without Prefect."""
    actor = Actor(name=f"flow run {run}", origin="prefect", principal=MACHINE, run=run)
    release = release_resume.claim_release(context, release_id, run)
    release_run.deploy_candidate(context, release_id, actor=actor)
    for index in range(len(release.steps)):
        release_run.shift_traffic(context, release_id, index, actor=actor)
        outcome = release_judge.hold_step(context, release_id, index, actor=actor)
        if not outcome.proceed:
            cause = Cause.VERDICT if outcome.verdict is Verdict.FAILED else Cause.INCONCLUSIVE
            release_rollback.give_baseline_back(context, release_id, cause=cause, reason=outcome.reason, actor=actor)
            return release_rollback.await_rolled_back(context, release_id, timeout=timedelta(seconds=10))
    release_run.promote_candidate(context, release_id, actor=actor)
    validated = release_judge.validate_promotion(context, release_id, actor=actor)
    if not validated.proceed:
        release_rollback.give_baseline_back(context, release_id, cause=Cause.VALIDATION, reason=validated.reason, actor=actor)
        return release_rollback.await_rolled_back(context, release_id, timeout=timedelta(seconds=10))
    return release_run.settle_promotion(context, release_id, actor=actor)


@contextlib.contextmanager
def flag_lab(home: Path, **behaviour: object) -> Iterator[AgentLab]:
    """Agent, Envoy, API and a service whose users have the flag's default so far."""
    lab = AgentLab(home)
    settings = Settings(
        home=lab.settings.home, port_base=lab.settings.port_base, api_token=TOKEN, database_url=lab.settings.sqlalchemy_url  # type: ignore[arg-type]
    )  # fmt: skip
    set_up_logs(Settings(log_level="ERROR"), program="api")
    try:
        lab.start()
        with serving(lab.context, settings):
            create_flag(lab.context, FLAG, venture="apollo", spec=FlagSpec(owner="checkout"), actor=SOMEBODY)
            lab.add_version("1.0", port=settings.api_port, token=TOKEN, **behaviour)
            (lab.home / "versions" / "1.0" / "server.py").write_text(SERVICE)
            lab.add_service(instances=1)
            yield lab
    finally:
        lab.close()
        structlog.reset_defaults()
        structlog.contextvars.clear_contextvars()


def main() -> None:
    """A flow of its own process: database, doorbell port, release id, run."""
    url, doorbell, release_id, run = sys.argv[1:]
    context = Context(store=Store(url), doorbell=Doorbell(int(doorbell)), lease_ttl_s=3.0)
    carry_out(context, release_id, run=run)


if __name__ == "__main__":
    main()
