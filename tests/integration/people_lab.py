"""A venture with people, schedules, channels and a status page, incidents by hand, and a notifier that remembers."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from productops.adapters.catalog_files import load_catalog
from productops.errors import DependencyError
from productops.store import Store
from productops.usecases.catalog import apply_catalog
from productops.usecases.context import Clock, Context
from tests.support import SOMEBODY, add_service, make_context

START = datetime(2026, 11, 16, 10, tzinfo=UTC)  # a Monday
PEOPLE = """\
apiVersion: productops/v1
kind: Venture
metadata: {name: apollo}
---
apiVersion: productops/v1
kind: Channel
metadata: {name: mia-phone, venture: apollo}
spec: {secret: PRODUCTOPS_SECRET_MIA, personal: true}
---
apiVersion: productops/v1
kind: Channel
metadata: {name: noah-phone, venture: apollo}
spec: {secret: PRODUCTOPS_SECRET_NOAH, personal: true}
---
apiVersion: productops/v1
kind: Channel
metadata: {name: war-room, venture: apollo}
spec: {secret: PRODUCTOPS_SECRET_WAR_ROOM, attempts_max: 3}
---
apiVersion: productops/v1
kind: Channel
metadata: {name: board, venture: apollo}
spec: {secret: PRODUCTOPS_SECRET_BOARD, audience: management, severities: [SEV1]}
---
apiVersion: productops/v1
kind: Channel
metadata: {name: customers, venture: apollo}
spec: {secret: PRODUCTOPS_SECRET_CUSTOMERS, audience: customers}
---
apiVersion: productops/v1
kind: OnCall
metadata: {name: primary, venture: apollo}
spec:
  timezone: Europe/Berlin
  people:
    - {id: mia, name: Mia, email: mia@example.com, channels: [mia-phone]}
    - {id: noah, name: Noah, channels: [noah-phone]}
    - {id: emma, name: Emma}
  layers:
    - {name: weekly, people: [mia, noah], starts: "2026-01-05T09:00"}
---
apiVersion: productops/v1
kind: Escalation
metadata: {name: standard, venture: apollo}
spec:
  levels:
    - {targets: [{schedule: primary}], wait_minutes: 5}
    - {targets: [{person: noah}, {person: emma}], wait_minutes: 10}
  repeat: 1
  fallback: [{channel: war-room}]
---
apiVersion: productops/v1
kind: Telling
metadata: {name: words, venture: apollo}
spec:
  cadence_minutes: {SEV1: 30, SEV2: 60}
  templates:
    - {audience: management, moment: opened, subject: "Heads up: {title}", text: "{services} since {detected_at}"}
---
apiVersion: productops/v1
kind: StatusPage
metadata: {name: apollo, venture: apollo}
spec:
  title: Apollo
  components: [{name: Shop, service: shop}, {name: Till, service: till}]
  automatic: {severities: [SEV1]}
"""


class HandClock(Clock):
    """A clock that somebody moves."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def move(self, **amount: float) -> datetime:
        self.at += timedelta(**amount)
        return self.at


class KnownSecrets:
    """Every secret is its own name."""

    def values(self, names: Any) -> tuple[str, ...]:
        return tuple(f"fake://{name.removeprefix('PRODUCTOPS_SECRET_').lower()}" for name in names)


@dataclass
class Postbox:
    """A notifier that keeps what it is given; ``broken`` addresses fail."""

    sent: list[tuple[str, str, str]] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def notify(self, address: str, subject: str, text: str, *, timeout_s: float) -> None:
        name = address.removeprefix("fake://")
        with self.lock:
            if name in self.broken:
                raise DependencyError("the message was not sent: no line")
            self.sent.append((name, subject, text))

    def to(self, name: str) -> list[str]:
        return [subject for who, subject, _ in self.sent if who == name]


@dataclass
class People:
    """The venture."""

    context: Context
    clock: HandClock
    post: Postbox
    others: list[Context] = field(default_factory=list)

    def close(self) -> None:
        """Give all connections back."""
        for each in (self.context, *self.others):
            each.store.close()

    def open(
        self, title: str = "Customers cannot pay", *, severity: str = "SEV1", services: tuple[str, ...] = ("shop",), **more: Any
    ) -> str:
        with self.context.store.write() as unit:
            return unit.incidents.open(
                venture_id=unit.catalog.venture_id("apollo"), kind="availability", severity=severity, title=title,
                description="db-7.internal refuses connections", services=list(services), detection="slo",
                impact={"environment": "production"}, now=self.clock.now(), **more,
            )  # fmt: skip

    def change(self, incident_id: str, **values: Any) -> None:
        with self.context.store.write() as unit:
            unit.incidents.change(incident_id, revision=unit.incidents.get(incident_id).revision, now=self.clock.now(), **values)

    def acknowledge(self, incident_id: str, by: str = "mia") -> None:
        self.change(incident_id, acknowledged_by=by, acknowledged_at=self.clock.now())

    def resolve(self, incident_id: str) -> None:
        with self.context.store.write() as unit:
            unit.incidents.resolve(incident_id, steps=["restarted it"], now=self.clock.now())

    def again(self) -> Context:
        """Another process with the same store."""
        other = replace(self.context, store=Store(self.context.store.url))
        self.others.append(other)
        return other

    def audit(self, subject: str) -> list[str]:
        with self.context.store.read() as unit:
            return [str(entry["action"]) for entry in unit.audit.entries(subject=subject)]

    def log(self, incident_id: str) -> list[str]:
        with self.context.store.read() as unit:
            return [entry.kind for entry in unit.incident_log.read(incident_id)]


def make_people(url: str, folder: Path, *, edit: Mapping[str, str] | None = None, start: datetime = START) -> People:
    """A fresh database with the catalog above; ``edit`` replaces texts in it."""
    clock, post = HandClock(start), Postbox()
    context = replace(make_context(url), clock=clock, secrets=KnownSecrets(), notifier=post)
    add_service(context, "shop")
    add_service(context, "till")
    people = People(context, clock, post)
    people_apply(people, folder, edit=edit)
    return people


def people_apply(people: People, folder: Path, *, edit: Mapping[str, str] | None = None) -> list[Any]:
    """Apply the catalog again."""
    text = PEOPLE
    for old, new in (edit or {}).items():
        assert old in text
        text = text.replace(old, new)
    home = folder / "catalog"
    home.mkdir(exist_ok=True)
    (home / "people.yaml").write_text(text, encoding="utf-8")
    return apply_catalog(people.context, load_catalog(home), actor=SOMEBODY)
