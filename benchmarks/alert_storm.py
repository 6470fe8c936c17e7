"""An alert storm over HTTP: so many alerts of one cause, by several senders at once, and how soon they are one incident.

A database goes down under forty services; each of them raises many alerts, and all arrive within the time given: most in groups as
Alertmanager sends them (version 4, and some groups twice, as it does when it is not sure), the others one by one in our own form. The
sender has a token that may report alerts and nothing else, the API its usual limits, and the watch looks at the same database meanwhile.
What counts, afterwards and in SQL: each telling is a stored alert or a further telling of one, and all of them are in one incident.

    python -m benchmarks.alert_storm [--alerts 10000] [--seconds 60] [--group 40] [--alone 0.2] [--again 0.05]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import httpx
import numpy as np
from sqlalchemy import create_engine, make_url, text

from benchmarks.api_stack import ME, furnish, make_context, served
from benchmarks.figures import Figure, console, show, write
from productops.domain.governance_access import Grant, Operation, Role
from productops.usecases.context import Context
from productops.usecases.governance_access import Holder, give
from productops.usecases.governance_access_tokens import TokenWish, create_token

ROOT = "orders-db"
SERVICES = ("storefront", ROOT, *(f"service-{number:02}" for number in range(40)))
OURS = "/api/v1/product-ops/alerts"
ALERTMANAGER = f"{OURS}/alertmanager"
PORT = 18_460
RULES = ("TooManyErrors", "Slow", "QueueFull", "PodRestarts", "Saturated")
ROOT_EVERY = 50
CONNECTIONS = 100
LIMITS = {"PRODUCTOPS_REQUESTS_PER_S": "500", "PRODUCTOPS_REQUESTS_BURST": "1000"}
"""Those of an installation that sets none."""
COUNTS = """
SELECT count(*) AS alerts, coalesce(sum(received), 0) AS told, count(DISTINCT fingerprint) AS different,
       sum(CASE WHEN incident_id IS NOT NULL THEN 1 ELSE 0 END) AS grouped,
       sum(CASE WHEN state IN ('silenced', 'maintenance', 'damped', 'low-traffic') THEN 1 ELSE 0 END) AS held_back
FROM incident_alerts
"""
INCIDENTS = "SELECT count(DISTINCT incident_id) FROM incident_alerts WHERE incident_id IS NOT NULL"


@dataclass(frozen=True, slots=True)
class Message:
    """One request of so many ``alerts``. ``due_s`` counts from the beginning of the storm."""

    due_s: float
    path: str
    body: dict[str, Any]
    alerts: int


@dataclass(slots=True)
class Storm:
    """What was sent and how long each message took. Each goes out when it is due, whatever became of those before it."""

    url: str
    token: str
    delays_s: list[float] = field(default_factory=list)
    told: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    async def send_all(self, messages: list[Message]) -> None:
        """Until all are answered. Nothing is sent a second time because of its answer."""
        limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
        headers = {"Authorization": f"Bearer {self.token}"}
        async with (
            httpx.AsyncClient(base_url=self.url, headers=headers, timeout=30, limits=limits, trust_env=False) as client,
            anyio.create_task_group() as sending,
        ):
            began = time.monotonic() + 0.5
            for message in messages:
                await anyio.sleep(max(0.0, began + message.due_s - time.monotonic()))
                sending.start_soon(self._send, client, message, began)

    async def _send(self, client: httpx.AsyncClient, message: Message, began: float) -> None:
        try:
            answer = await client.post(message.path, json=message.body)
            status = str(answer.status_code)
        except httpx.HTTPError as error:
            status = type(error).__name__
        self.delays_s.append(time.monotonic() - began - message.due_s)  # from when it was due: to be late in sending is delay, too
        if status == "202":
            self.told.update({name: answer.json()[name] for name in ("stored", "duplicates", "suppressed")})
        else:
            self.refused[status] += message.alerts


def main() -> int:
    """Measure, print, write ``bench-results/alert_storm``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.alert_storm", description=__doc__)
    parser.add_argument("--alerts", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--group", type=int, default=40, help="alerts in one message of Alertmanager")
    parser.add_argument("--alone", type=float, default=0.2, help="share of alerts that come one by one")
    parser.add_argument("--again", type=float, default=0.05, help="share of groups that are sent twice")
    return 0 if all(figure.met is not False for figure in run(parser.parse_args())) else 1


def run(wanted: argparse.Namespace) -> list[Figure]:
    """Measure with ``alerts``, ``seconds``, ``group``, ``alone`` and ``again``."""
    with tempfile.TemporaryDirectory(prefix="po-storm-") as folder:
        home = Path(folder)
        url = make_url(f"sqlite:///{home / 'productops.db'}").render_as_string(hide_password=False)
        context = make_context(url, home)
        furnish(context, home, services=SERVICES)
        _depend(context)
        token = _token(context)
        with served(url, home, PORT, **LIMITS), _watching(url, home):
            figures = _measure(f"http://127.0.0.1:{PORT}", context, token, wanted)
        context.store.close()
    show("alert storm", figures)
    write("alert_storm", "http", figures, vars(wanted))
    return figures


def _depend(context: Context) -> None:
    with context.store.write() as unit:
        for service in unit.catalog.services(ventures=["apollo"]):
            if service.name.startswith("service-"):
                spec = service.spec.model_copy(update={"depends_on": (ROOT,)})
                unit.catalog.put_service(
                    service.name, venture="apollo", spec=spec, base=service.base, author="benchmark", now=context.clock.now()
                )  # fmt: skip


def _token(context: Context) -> str:
    """Of a program that may report alerts and nothing else."""
    give(context, Holder("alertmanager", "service"), Grant(Role.DEVELOPER, "apollo"), actor=ME)
    wish = TokenWish("storm", owner="alertmanager", operations=frozenset({Operation.INCIDENT_REPORT}), venture="apollo")
    return create_token(context, wish, actor=ME).secret


@contextmanager
def _watching(url: str, home: Path) -> Iterator[None]:
    """The watch beside it, as ``productops up`` has it."""
    env = os.environ | {
        "PRODUCTOPS_HOME": str(home), "PRODUCTOPS_PORT_BASE": str(PORT), "PRODUCTOPS_DATABASE_URL": url, "PRODUCTOPS_LOG_LEVEL": "ERROR",
    }  # fmt: skip
    with subprocess.Popen([sys.executable, "-m", "productops.agent.watch"], env=env, stdout=subprocess.DEVNULL) as running:
        try:
            deadline = time.monotonic() + 60
            while not (home / "run" / "watch.ready").exists() and time.monotonic() < deadline:
                time.sleep(0.1)
            yield
        finally:
            running.terminate()
            running.wait(timeout=30)


def messages_of(wanted: argparse.Namespace) -> list[Message]:
    """The storm, in the order in which it is sent."""
    alone = round(wanted.alerts * wanted.alone)
    grouped = wanted.alerts - alone
    starts = range(0, grouped, wanted.group)
    groups = [range(start, min(grouped, start + wanted.group)) for start in starts]
    found = [
        Message(place * wanted.seconds / len(groups), ALERTMANAGER, _group(numbers), len(numbers)) for place, numbers in enumerate(groups)
    ]
    every = round(1 / wanted.again) if wanted.again else 0
    found += [
        Message(each.due_s + 1.0, each.path, each.body, each.alerts) for place, each in enumerate(found) if every and place % every == 0
    ]
    found += [
        Message(place * wanted.seconds / alone, OURS, {"alerts": [_ours(grouped + place)]}, 1) for place in range(alone)
    ]  # fmt: skip
    return sorted(found, key=lambda message: message.due_s)


def _about(number: int) -> tuple[str, str, str]:
    """Rule, service and severity of an alert. The database's own come among the others."""
    if number % ROOT_EVERY == ROOT_EVERY - 1:
        return "DatabaseDown", ROOT, "SEV1"
    return RULES[number % len(RULES)], SERVICES[2 + number % 40], "SEV2"


def _group(numbers: range) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    alerts = []
    for number in numbers:
        rule, service, severity = _about(number)
        labels = {"alertname": rule, "service": service, "severity": severity, "environment": "production", "pod": f"pod-{number}"}
        alerts.append(
            {
                "status": "firing", "labels": labels, "annotations": {"summary": f"{rule} of {service}"}, "startsAt": now,
                "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "http://prometheus.example/graph", "fingerprint": f"{number:016x}",
            }
        )  # fmt: skip
    return {
        "version": "4", "groupKey": f'{{}}:{{part="{numbers.start}"}}', "truncatedAlerts": 0, "status": "firing", "receiver": "productops",
        "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://alertmanager.example", "alerts": alerts,
    }  # fmt: skip


def _ours(number: int) -> dict[str, Any]:
    rule, service, severity = _about(number)
    return {
        "name": rule, "venture": "apollo", "service": service, "severity": severity, "summary": f"{rule} of {service}",
        "starts_at": datetime.now(UTC).isoformat(), "labels": {"pod": f"pod-{number}"},
    }  # fmt: skip


def _measure(url: str, context: Context, token: str, wanted: argparse.Namespace) -> list[Figure]:
    found = messages_of(wanted)
    storm = Storm(url, token)
    began = time.monotonic()
    anyio.run(storm.send_all, found)
    took = time.monotonic() - began
    engine = create_engine(context.store.url)
    with engine.connect() as connection:
        counted = connection.execute(text(COUNTS)).mappings().one()
        incidents = int(connection.execute(text(INCIDENTS)).scalar_one())
        titles = connection.execute(text("SELECT title FROM incident_management ORDER BY incident_id DESC LIMIT 1")).scalars().all()
    engine.dispose()
    sent = sum(message.alerts for message in found)
    console.print(f"{sent} alerts told in {len(found)} messages within {took:.1f} s: {titles[0] if titles else 'no incident'}")
    console.print(f"answers: {dict(storm.told)}, refused {dict(storm.refused)}; stored: {dict(counted)}")
    delays = np.array(storm.delays_s or [float("nan")])
    return [
        Figure("incidents of one cause", float(incidents), "", bar=1),
        Figure("alerts lost", float(wanted.alerts - counted["alerts"]), "", bar=0,
               detail=f"stored {counted['alerts']}, held back {counted['held_back']}, in the incident {counted['grouped']}"),
        Figure("tellings lost", float(sent - counted["told"]), "", bar=0,
               detail=f"sent {sent} = {storm.told['stored']} stored + {storm.told['duplicates']} told again, by the answers"),
        Figure("messages refused", float(sum(storm.refused.values())), "", bar=0),
        Figure("delay, longest", float(delays.max()), "s", bar=2.0,
               detail="from when a message was due to the answer that all of it is in the incident"),
        Figure("delay, 99th percentile", float(np.quantile(delays, 0.99)), "s"),
        Figure("delay, median", float(np.median(delays)), "s"),
    ]  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
