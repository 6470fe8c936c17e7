"""``python -m productops.agent.watch``: looks for trouble, and sees that something is done about it.

A process of its own beside the agent (docs/adr/0009): what it does must never slow the agent, which keeps users safe.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

import structlog

from productops.adapters.analytics_mail import connect_mail
from productops.adapters.doorbell import Doorbell
from productops.adapters.notify_apprise import AppriseNotifier
from productops.adapters.prefect_api import connect_prefect
from productops.adapters.webhook_secrets import SecretFolder
from productops.agent.election import Election, Identity, TermLoop, end_deposed
from productops.agent.priority import ask_for_priority
from productops.agent.watch_parts import Part, Parts
from productops.domain.incident_alert import Alert
from productops.domain.monitoring_series import INSTALLATION, Point, series_key
from productops.errors import ProductOpsError, StoreUnavailableError
from productops.logs import set_up_logs
from productops.ports import EventSink, FlowWorkers
from productops.settings import Settings, load_settings
from productops.store import Store
from productops.store.monitoring_detect import WATCH
from productops.usecases.context import OURSELVES, Context
from productops.usecases.governance_security_watch import SecurityWatch
from productops.usecases.incident_alerts import take_alerts
from productops.usecases.incident_announce import IncidentAnnouncer
from productops.usecases.incident_oncall_watch import PeopleWatch
from productops.usecases.incident_start import start_due_incidents
from productops.usecases.incident_tend import forget_alerts, tend_incidents
from productops.usecases.monitoring_collect_build import build_fast, build_saturation, build_slow
from productops.usecases.monitoring_detect_limits import LimitWatch
from productops.usecases.monitoring_detect_series import SeriesWatch
from productops.usecases.monitoring_detect_services import ServiceWatch
from productops.usecases.monitoring_detect_silence import InstanceWatch, SilenceWatch, VerdictWatch
from productops.usecases.monitoring_logs_alerts import new_errors
from productops.usecases.monitoring_processes import ProcessWatch
from productops.usecases.monitoring_rules_evaluate import evaluate_rules
from productops.usecases.monitoring_series import put_points
from productops.usecases.monitoring_series_known import KnownSeries
from productops.usecases.monitoring_series_tidy import retention_of, tidy_series
from productops.usecases.monitoring_slo_evaluate import evaluate_objectives
from productops.usecases.monitoring_slo_forecast import BudgetWatch

log = structlog.get_logger("watch")
REPORT_S: Final = 2.0
METRIC_S: Final = 15.0
UNSENT_MAX: Final = 20_000
Evaluation = Callable[..., list[Alert]]


class Deliverer:
    """Evaluates, and keeps what was found until it is taken: a database that is away for a minute costs no alert."""

    def __init__(self, context: Context, evaluate: Evaluation) -> None:
        self._context, self._evaluate = context, evaluate
        self._unsent: dict[str, Alert] = {}

    def turn(self) -> int:
        """Returns how many alerts were taken. Raises: StoreUnavailableError."""
        for alert in self._evaluate(self._context, now=self._context.clock.now(), actor=OURSELVES):
            self._unsent.pop(alert.fingerprint, None)
            self._unsent[alert.fingerprint] = alert  # the newest word counts
        if not self._unsent:
            return 0
        sending = dict(list(self._unsent.items())[:UNSENT_MAX])
        take_alerts(self._context, list(sending.values()), actor=OURSELVES)
        for mark in sending:
            del self._unsent[mark]
        return len(sending)


def build_context(settings: Settings) -> Context:
    """The store and ports of this program."""
    return Context(
        store=Store(settings.sqlalchemy_url), doorbell=Doorbell(settings.doorbell_port), lease_ttl_s=settings.lease_ttl_s,
        orchestrator=connect_prefect(settings), secrets=SecretFolder(settings.secret_folder), notifier=AppriseNotifier(),
        series=KnownSeries(settings.series_max), mail=connect_mail(settings),
    )  # fmt: skip


def build_parts(settings: Settings, context: Context) -> list[Part]:
    """What is looked at, how often, and how long it may take. Raises: SettingsError for a connections file that cannot be used."""
    clock, kept = context.clock, retention_of(settings)
    saturation = build_saturation(context)

    def crowded() -> bool:
        return saturation.crowd is not None

    fast, slow = build_fast(context, watch_host=saturation.see), build_slow(context, settings)
    services, series, people = ServiceWatch(context, crowded), SeriesWatch(context), PeopleWatch(context)
    security = SecurityWatch(context, settings.advisories)
    limits = LimitWatch(
        context, warn=timedelta(hours=settings.limit_warn_h), critical=timedelta(hours=settings.limit_critical_h),
        certificates=settings.certificate_files,
    )  # fmt: skip
    budgets = BudgetWatch(context, warn=timedelta(hours=settings.limit_warn_h), critical=timedelta(hours=settings.limit_critical_h))
    return [
        Part("collect", lambda: fast.turn(clock.now()), every_s=1.0, everywhere=True),
        # Only where it is elected: targets are the same whoever asks them.
        Part("collect-slow", lambda: slow.turn(clock.now()), every_s=1.0, limit_s=40.0, pressed=crowded),
        Part("collect-containers", lambda: slow.turn_here(clock.now()), every_s=1.0, limit_s=40.0, everywhere=True),
        Part("saturation", saturation.turn, every_s=1.0, everywhere=True),
        Part("services", services.turn, every_s=0.5, end=services.close),
        Part("instances", InstanceWatch(context).turn, every_s=0.5),
        Part("silence", SilenceWatch(context).turn, every_s=1.0),
        Part("verdicts", VerdictWatch(context).turn, every_s=1.0),
        Part("objectives", Deliverer(context, evaluate_objectives).turn, every_s=1.0),
        Part("rules", Deliverer(context, evaluate_rules).turn, every_s=1.0),
        Part("log-errors", Deliverer(context, new_errors).turn, every_s=2.0),
        Part("series", series.turn, every_s=2.0, limit_s=10.0, end=series.close, pressed=crowded),
        Part("limits", limits.turn, every_s=2.0, limit_s=20.0, pressed=crowded),
        Part("security", security.turn, every_s=10.0, limit_s=30.0, pressed=crowded),
        Part("incidents", lambda: tend_incidents(context), every_s=1.0, limit_s=10.0),
        Part("responses", lambda: start_due_incidents(context, context.orchestrator), every_s=0.5, limit_s=30.0),
        *_announcing(context),
        Part("processes", ProcessWatch(context, _workers(context)).turn, every_s=5.0, limit_s=15.0),
        Part("budgets", budgets.turn, every_s=60.0, limit_s=30.0, pressed=crowded),
        Part("people", people.tick, every_s=1.0, limit_s=10.0, end=people.close),
        Part("tidy-alerts", lambda: forget_alerts(context), every_s=60.0, limit_s=30.0, pressed=crowded),
        Part("tidy-series", lambda: tidy_series(context, kept, now=clock.now()), every_s=30.0, limit_s=60.0, pressed=crowded),
    ]


def _announcing(context: Context) -> list[Part]:
    """Prefect hears of incidents, where there is one."""
    sink = context.orchestrator
    return [Part("announce", IncidentAnnouncer(context, sink).turn, every_s=1.0, limit_s=10.0)] if isinstance(sink, EventSink) else []


def _workers(context: Context) -> FlowWorkers | None:
    return context.orchestrator if isinstance(context.orchestrator, FlowWorkers) else None


class Report:
    """How this process is: a file for `productops status`, a row for the API, series for charts."""

    def __init__(self, settings: Settings, context: Context, parts: Parts, me: Identity) -> None:
        self._path = settings.home / "run" / "watch.json"
        self._context, self._parts, self._me = context, parts, me
        self._began, self._metric_at = time.time(), 0.0

    def write(self) -> None:
        """Never raises for a disk or a database that is away: then the file or the row is old, which says it as well."""
        data = self._data()
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            fresh = self._path.with_suffix(".new")
            fresh.write_text(json.dumps(data))
            fresh.replace(self._path)
        with suppress(ProductOpsError):
            now = self._context.clock.now()
            with self._context.store.write() as unit:
                unit.detectors.report(self._me.name, data, now=now)
                unit.detectors.forget_reports(before=now - timedelta(days=1))
            self._measure()

    def _data(self) -> dict[str, Any]:
        parts = [part.document() for part in self._parts.parts]
        return {
            "pid": self._me.pid, "elected": self._parts.elected.is_set(), "started_s": self._began,
            "healthy": all(part["state"] == "well" for part in parts), "parts": parts,
        }  # fmt: skip

    def _measure(self) -> None:
        if time.monotonic() - self._metric_at < METRIC_S:
            return
        self._metric_at = time.monotonic()
        at, component = time.time(), f"watch/{self._me.machine.partition('/')[0]}"
        points = [
            Point(series_key(INSTALLATION, component, "infrastructure", name, {"part": part.name}), at, value)
            for part in self._parts.parts
            for name, value in (("watch.turn_ms", part.took_ms), ("watch.failures", float(part.failures)))
        ]
        put_points(self._context, points, actor=OURSELVES)


def main() -> int:
    """Until SIGTERM or SIGINT."""
    settings = load_settings()
    set_up_logs(settings, program="watch")
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        return serve(settings, stopping)
    except (ProductOpsError, OSError) as error:
        log.error("the watch cannot start", reason=str(error))
        sys.stderr.write(f"error: {error}\n")
        return 75


def serve(settings: Settings, stopping: threading.Event) -> int:
    """Measure this machine at once, be elected, then look for trouble. Raises: SettingsError."""
    ask_for_priority()
    context = build_context(settings)
    me = Identity.here()
    parts = Parts(build_parts(settings, context), stopping)
    report = Report(settings, context, parts, me)
    parts.start()
    ready = settings.home / "run" / "watch.ready"
    ready.parent.mkdir(parents=True, exist_ok=True)
    ready.write_text(str(os.getpid()))
    threading.Thread(target=_report, args=(report, parts, stopping), name="report", daemon=True).start()
    mine = Election(context.store, WATCH, me).campaign(stopping)
    if mine is None:
        parts.end()
        return 0
    term = TermLoop(context.store, mine, stopping, on_deposed=end_deposed)
    threading.Thread(target=term.run, name="term", daemon=True).start()
    parts.elected.set()
    log.info("this watch looks for trouble", term=mine.term, parts=[part.name for part in parts.parts])
    stopping.wait()
    parts.end()
    report.write()
    term.resign()
    context.store.close()
    return 0


def _report(report: Report, parts: Parts, stopping: threading.Event) -> None:
    while not stopping.wait(REPORT_S):
        with suppress(StoreUnavailableError):
            report.write()
        frozen = parts.frozen()
        if frozen is not None:
            log.error("a part of the watch does not come back; beginning again", part=frozen.name, running_s=frozen.running_s())
            os._exit(70)


if __name__ == "__main__":
    sys.exit(main())
