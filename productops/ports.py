"""What the use cases and the agent need from the outside; the adapters provide it."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol, runtime_checkable

from productops.domain.analysis import ArmSecond
from productops.domain.analytics_report import Letter
from productops.domain.catalog import Service
from productops.domain.development import Change, Deployment, Read, Told
from productops.domain.development_sync import Cursor, Page
from productops.domain.governance_approvals_risk import Risk, RiskFacts
from productops.domain.governance_audit import Anchor
from productops.domain.governance_outbox import Posted
from productops.domain.monitoring_series_host import Busy, ContainerReading, HostReading, ProcessReading
from productops.domain.monitoring_series_sample import Sample
from productops.domain.monitoring_sources import MetricQuery, Values, Window
from productops.domain.release import Environment
from productops.domain.routing import Endpoint, RouterReading, ServiceRoute, VersionKey


class Router(Protocol):
    """The data plane's configuration and counters. Only the agent holds one."""

    def apply(self, routes: Sequence[ServiceRoute]) -> None:
        """Make the router serve exactly ``routes`` and return when it confirms. Nothing is written when nothing changed.

        Raises: RouterError when it refuses or does not confirm in time; the router keeps what it had.
        """

    def requests_in_flight(self) -> Mapping[tuple[VersionKey, int], int]:
        """Requests in flight by version and instance port. Raises: RouterError."""

    def read(self) -> RouterReading:
        """Counters of all versions, now. Raises: RouterError."""


class FencedRouter(Router, Protocol):
    """A router that knows which agent may write it; every adapter is one."""

    def claim(self, term: int) -> None:
        """Write as the agent of ``term``: once a later agent has claimed, ``apply`` changes nothing and raises. Raises: RouterError."""

    def latest_term(self) -> int:
        """The last term that claimed this router; 0 when none has."""

    def ready(self) -> bool:
        """Whether it answers. Never raises."""

    def close(self) -> None:
        """Give its connections back."""


class Process(Protocol):
    """A running instance on this machine."""

    @property
    def pid(self) -> int:
        """Process id."""

    @property
    def started(self) -> float:
        """Creation time, Unix seconds."""


class InstanceTarget(Protocol):
    """A place where instances run."""

    def prepare(self, service: Service, version: str) -> Path:
        """Make the version's files available; idempotent. Returns the folder to run in.

        Raises: NotFoundError when the version does not exist, DependencyError when git or pip fails.
        """

    def exists(self, service: Service, version: str) -> bool:
        """Whether the version can be had, without preparing it."""

    def start(self, service: Service, environment: Environment, version: str, *, instance_id: str, port: int) -> Process:
        """Start an instance; it carries ``instance_id`` so that it can be found again after a crash of the starter."""

    def free_port(self, first: int, count: int, taken: Collection[int]) -> int:
        """A port from ``first`` to ``first + count - 1`` that nobody listens on and that is not ``taken``.

        Raises: DependencyError when there is none.
        """

    def find(self) -> Mapping[str, Process]:
        """Every living instance that carries an instance id of this installation."""

    def alive(self, pid: int, started: float) -> bool:
        """Whether that very process runs (a recycled pid does not count)."""

    def stop(self, pid: int, started: float, *, kill: bool = False) -> None:
        """Ask the instance and its children to end (or end them, with ``kill``). No error when they are gone."""

    def healthy(self, service: Service, endpoint: Endpoint) -> bool:
        """One health question, answered within a second."""

    def log_path(self, service: str, environment: Environment, version: str, instance_id: str) -> Path:
        """Where the instance's output goes."""

    def trim_logs(self, max_bytes: int) -> int:
        """Cut every instance's log that has grown past ``max_bytes``; returns how many were cut."""

    def last_output(self, path: Path, lines: int = 20) -> str:
        """The last lines of an instance's output, or an empty text."""


class Orchestrator(Protocol):
    """What runs the flows."""

    def start_release(self, release_id: str, parameters: Mapping[str, object], *, attempt: int = 0) -> str:
        """Schedule the release flow at once and return the flow run's id; idempotent per release and attempt.

        ``attempt`` counts the runs that died before this one.

        Raises: OrchestratorError.
        """

    def start_rollback(self, parameters: Mapping[str, object], *, key: str) -> str:
        """Schedule the rollback flow and return the flow run's id; idempotent per ``key``. Raises: OrchestratorError."""

    def start_train(self, parameters: Mapping[str, object], *, key: str) -> str:
        """Schedule the flow that follows a train and return its id; idempotent per ``key``. Raises: OrchestratorError."""

    def start_incident(self, parameters: Mapping[str, object], *, key: str) -> str:
        """Schedule the flow that follows an incident and return its id; idempotent per ``key``. Raises: OrchestratorError."""

    def run_url(self, flow_run_id: str) -> str:
        """Where a person sees that run."""


@runtime_checkable
class EventSink(Protocol):
    """What hears of events and may start something by them: automations of Prefect."""

    def emit(self, event: str, *, about: str, name: str, payload: Mapping[str, object], key: uuid.UUID, at: datetime) -> None:
        """Tell that ``event`` happened to the resource ``about``, shown as ``name``; the same ``key`` twice is one event.

        Raises: OrchestratorError.
        """


@runtime_checkable
class FlowWorkers(Protocol):
    """Who takes flow runs."""

    def worker_beats(self) -> Mapping[str, datetime]:
        """By name: when it was last heard. Raises: OrchestratorError."""


class Doorbell(Protocol):
    """Tells the agent that the store has news. Losing a ring costs a fraction of a second, never more."""

    def ring(self) -> None:
        """Never raises, never blocks."""


class MetricSource(Protocol):
    """A system that stores metrics; it is only read. What it does not know is left out of an answer, never taken for zero."""

    @property
    def name(self) -> str:
        """What ``rollout.analysis.metrics[].source`` calls it."""

    @property
    def interval_s(self) -> int:
        """Length of the intervals it is asked for, in whole seconds; asking more often brings nothing."""

    @property
    def lag_s(self) -> int:
        """How long after its end an interval is complete there, in seconds."""

    def metric(self, query: MetricQuery, key: VersionKey, window: Window) -> Values:
        """A metric of one version. Raises: MetricSourceError, RateLimitedError, InvalidInputError for a query it refuses."""

    def traffic(self, key: VersionKey, window: Window) -> Mapping[int, ArmSecond]:
        """Requests, failures and latencies of one version by interval, named by its end.

        Raises: as ``metric``; UnsupportedError when it was not told how to ask for traffic.
        """


class HostMeter(Protocol):
    """This machine's counters."""

    def read(self) -> HostReading:
        """Now; rates are over the time since the last reading."""


class BusyMeter(Protocol):
    """What takes the processors of this machine."""

    def read(self) -> Sequence[Busy]:
        """The programs that took most since the last reading, the busiest first."""


class ProcessMeter(Protocol):
    """Counters of processes on this machine."""

    def keep(self, wanted: set[tuple[int, float]]) -> None:
        """Forget all but these (process id, start)."""

    def read(self, pid: int, started: float) -> ProcessReading | None:
        """None when that very process does not run here."""


class ContainerMeter(Protocol):
    """Counters of the installation's containers."""

    def read(self) -> Mapping[str, ContainerReading]:
        """By instance id. Raises: DependencyError."""


class Scraper(Protocol):
    """Fetches what programs say of themselves."""

    def fetch(self, url: str, *, token: str, timeout_s: float, samples_max: int, at: float) -> list[Sample]:
        """Samples of the Prometheus text format. Raises: MetricSourceError."""


class AnchorSigner(Protocol):
    """The key of this installation."""

    def sign(self, anchor: Anchor) -> Anchor:
        """The anchor with the public key and a signature."""


class EvidenceSigner(AnchorSigner, Protocol):
    """The same key, for evidence bundles."""

    @property
    def public(self) -> str:
        """The public key, hexadecimal."""

    def sign_bytes(self, message: bytes) -> bytes:
        """A signature (Ed25519) of a message that can be mistaken for no anchor."""


class AnchorBook(Protocol):
    """A place outside the store that keeps anchors of the audit log."""

    def append(self, anchor: Anchor) -> str:
        """Keep it; returns where. Raises: DependencyError."""

    def newest(self) -> Anchor | None:
        """The anchor of the highest entry; None when there is none yet. Raises: InvalidInputError for a damaged book."""


class Secrets(Protocol):
    """Secrets by the names the catalog has for them."""

    def values(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those that are set here, in the order of ``names``. Raises: SettingsError for one that everybody may read."""


class Courier(Protocol):
    """Takes webhooks to others."""

    def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float) -> Posted:
        """One attempt; never raises for what the other side does."""


class RiskModel(Protocol):
    """Rates a change before it is made."""

    def rate(self, facts: RiskFacts) -> Risk:
        """The level with its reasons; never raises."""


class DevelopmentReader(Protocol):
    """GitHub, GitLab or Jira, read page by page. All of it raises DevelopmentSourceError and DevelopmentSourceBusyError."""

    @property
    def streams(self) -> tuple[str, ...]:
        """Kinds of streams that are read."""

    @property
    def combed(self) -> Mapping[str, tuple[type[Read], ...]]:
        """What a full look at a stream would have shown if it were still there."""

    @property
    def rate_left(self) -> int | None:
        """Questions that are left until the limit is set back; None: not told."""

    def open(self, project: str, scope: str) -> str:
        """The stable id of a repository or project, by ``scope`` where that id is known already."""

    def read(self, kind: str, scope: str, cursor: Cursor) -> Page:
        """The next page of a stream."""

    def details(self, scope: str, things: Sequence[Change | Deployment]) -> tuple[Told, ...]:
        """What only the pages of changes and deployments tell."""

    def close(self) -> None:
        """Give the connections back."""


class ChangeSystem(Protocol):
    """Where an organisation keeps its changes, outside."""

    def record(self, document: Mapping[str, object]) -> str:
        """Make the change known there and return its number; the same ``id`` again returns the same number. Raises: DependencyError."""


class Notifier(Protocol):
    """Reaches people by chat, telephone and the like."""

    def notify(self, address: str, subject: str, text: str, *, timeout_s: float) -> None:
        """One attempt, ended after ``timeout_s``; ``address`` is a secret. Raises: DependencyError without the address in its text."""


class Mail(Protocol):
    """A mail server."""

    def send(self, letter: Letter) -> None:
        """Hand a letter over. Raises: DependencyError; its ``extra`` has ``unsure`` where the server may have sent it all the same."""
