"""Logs and traces in a real database of each kind, and collected from real files."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from productops.adapters.local_process.logs import trim
from productops.domain.governance_access import Grant, Principal, Role
from productops.domain.monitoring_logs import LogLevel, LogLine, LogOrigin, LogQuery, read_terms, unix_us
from productops.domain.monitoring_traces import Span, SubjectLink
from productops.domain.release import Environment
from productops.domain.traffic import Instance, InstanceState
from productops.errors import ForbiddenError, InvalidInputError, NotFoundError
from productops.store.identity import new_id
from productops.usecases.context import Actor, Clock, Context
from productops.usecases.monitoring_logs import LogTail, errors_of, jumped_templates, new_in, search_logs, templates_of
from productops.usecases.monitoring_logs_alerts import new_errors
from productops.usecases.monitoring_logs_collect import LogCollector
from productops.usecases.monitoring_logs_intake import LogIntake
from productops.usecases.monitoring_logs_places import Places
from productops.usecases.monitoring_logs_tidy import forget_old_logs, forget_old_spans
from productops.usecases.monitoring_traces import SpanQuery, call_graph, find_trace, list_traces, trace_of_release
from productops.usecases.monitoring_traces_intake import SpanIntake
from productops.usecases.monitoring_traces_own import Keeper
from tests.support import PRODUCTION, SOMEBODY, add_service

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
TRACE = "0af7651916cd43dd8448eb211c80319c"
BOOM = 'ERROR failed\nTraceback (most recent call last):\n  File "/srv/app.py", line {n}, in pay\n    go()\nKeyError: {n}'
DAY = timedelta(days=1)


class Stopped(Clock):
    """A clock that tests move."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()


@pytest.fixture
def house(any_context: Context) -> Context:
    add_service(any_context, "shop", live="1.0")
    add_service(any_context, "cart", live="1.0")
    return replace(any_context, clock=Stopped())


def origin(version: str = "1.0", service: str = "shop", environment: Environment = PRODUCTION) -> LogOrigin:
    return LogOrigin("apollo", service, environment, version, "i-1")


def line(text: str, *, at: datetime = NOW, level: LogLevel = LogLevel.INFO, of: LogOrigin | None = None, trace: str = "") -> LogLine:
    return LogLine(of or origin(), unix_us(at), level, text, trace)


def texts(context: Context, actor: Actor = SOMEBODY, **query: object) -> list[str]:
    return [found.line.text for found in search_logs(context, LogQuery(**query), actor=actor).lines]  # type: ignore[arg-type]


def test_lines_are_found_by_each_of_their_properties_and_paged_without_loss(house):
    intake = LogIntake(house)
    for part in range(6):
        intake.take([line(f"order {part * 100 + n} paid", at=NOW + timedelta(seconds=part * 100 + n)) for n in range(100)])
    intake.take([
        line("payment refused by bank-7", level=LogLevel.ERROR, of=origin("2.0"), trace=TRACE),
        line("cart it's \\ odd & strange: 'x'", of=origin("1.0", "cart", Environment.STAGING)),
    ])  # fmt: skip
    assert texts(house, terms=read_terms("refus")) == ["payment refused by bank-7"]
    assert texts(house, service="shop", level=LogLevel.WARNING) == ["payment refused by bank-7"]
    assert texts(house, service="shop", version="2.0") == texts(house, trace_id=TRACE) == ["payment refused by bank-7"]
    assert texts(house, environment=Environment.STAGING) == texts(house, service="cart") == ["cart it's \\ odd & strange: 'x'"]
    assert texts(house, terms=read_terms("it's odd \"strange: 'x'\"")) == ["cart it's \\ odd & strange: 'x'"]
    assert texts(house, terms=read_terms("nothing")) == []
    assert texts(house, terms=read_terms("order 317 -refused")) == ["order 317 paid"]
    assert len(texts(house, since=NOW + timedelta(seconds=10), until=NOW + timedelta(seconds=20))) == 10
    found, before = [], None
    while True:
        page = search_logs(house, LogQuery(terms=read_terms("paid")), actor=SOMEBODY, before=before, limit=77)
        found += [each.line.text for each in page.lines]
        before = page.next
        if before is None:
            break
    assert found == [f"order {n} paid" for n in reversed(range(600))]


def test_secrets_are_not_stored(house):
    LogIntake(house).take([line("login with password=hunter22x from https://ann:secretword@example.org")])
    assert texts(house) == ["login with password=*** from https://ann:***@example.org"]
    assert texts(house, terms=read_terms("hunter22x")) == []


def test_only_lines_of_places_that_were_granted_are_shown(house):
    LogIntake(house).take([line("here"), line("there", of=origin("1.0", "shop", Environment.STAGING))])
    staging = Actor("ann", "api", Principal("ann", (Grant(Role.DEVELOPER, "apollo", "staging"),)))
    assert texts(house, actor=staging) == ["there"]
    with pytest.raises(ForbiddenError):
        texts(house, actor=staging, service="shop", environment=PRODUCTION)
    nobody = Actor("kim", "api", Principal("kim", (Grant(Role.DEVELOPER, "gemini"),)))
    assert texts(house, actor=nobody) == []
    with pytest.raises(NotFoundError):
        texts(house, actor=nobody, service="shop")


def test_a_search_that_makes_no_sense_is_refused(house):
    with pytest.raises(InvalidInputError, match="before until"):
        texts(house, since=NOW, until=NOW)
    with pytest.raises(NotFoundError, match="no service 'nope'"):
        texts(house, service="nope")


def test_templates_are_counted_by_version_and_a_jump_is_seen(house):
    intake = LogIntake(house)
    earlier = [NOW + timedelta(minutes=minute) for minute in range(60)]
    intake.take(
        [line(f"order {n} paid", at=at) for at in earlier for n in range(10)]
        + [line(f"retry {at.minute} of bank", at=at) for at in earlier]
    )
    late = NOW + timedelta(minutes=60)
    intake.take([line(f"order {n} paid", at=late, of=origin("2.0")) for n in range(10)])
    intake.take([line(f"retry {n} of bank", at=late, of=origin("2.0")) for n in range(40)])
    window = {"service": "shop", "environment": PRODUCTION, "actor": SOMEBODY, "until": late + timedelta(minutes=1)}
    counts = {t.text: t for t in templates_of(house, since=NOW, **window)}
    assert counts["order <*> paid"].by_version == {"1.0": 600, "2.0": 10}
    [jump] = jumped_templates(house, since=late, **window)
    assert (jump.template.text, jump.before_per_min, jump.now_per_min) == ("retry <*> of bank", 1.0, 40.0)
    assert texts(house, template=jump.template.id)[0] == "retry 39 of bank"


def test_another_process_gives_a_template_the_same_id(house):
    LogIntake(house).take([line(f"order {n} paid") for n in range(3)])
    LogIntake(house).take([line("order 9 paid", of=origin("2.0"))])
    [template] = templates_of(house, service="shop", environment=PRODUCTION, since=NOW, until=NOW + DAY, actor=SOMEBODY)
    assert template.by_version == {"1.0": 3, "2.0": 1}


def test_an_error_tells_which_version_began_it_and_how_often_each_has_it(house):
    intake = LogIntake(house)
    intake.take([line("ERROR bank away", level=LogLevel.ERROR)])
    later = NOW + timedelta(minutes=5)
    intake.take([line(BOOM.format(n=n), level=LogLevel.ERROR, at=later, of=origin("2.0")) for n in range(4)])
    intake.take([line("ERROR bank away", level=LogLevel.ERROR, at=later, of=origin("2.0"))])
    found = errors_of(house, service="shop", environment=PRODUCTION, since=NOW, until=later + DAY, actor=SOMEBODY)
    assert [(e.type, e.count, e.first_version) for e in found] == [("KeyError", 4, "2.0"), ("", 2, "1.0")]
    assert (found[0].frames, found[0].language, found[0].by_version) == (("app.py:pay",), "python", {"2.0": 4})
    assert [e.type for e in new_in(found, "2.0")] == ["KeyError"]


def errors_at(context: Context, at: datetime, count: int, version: str = "1.0", text: str = BOOM) -> None:
    LogIntake(context).take([line(text.format(n=n), level=LogLevel.ERROR, at=at, of=origin(version)) for n in range(count)])


def test_a_new_error_alerts_once_it_is_frequent_and_is_resolved_when_it_stops(house):
    clock = house.clock
    LogIntake(house).take([line("INFO up")])
    clock.at = NOW + timedelta(minutes=20)
    errors_at(house, clock.at, 9)
    assert new_errors(house, now=clock.at, actor=SOMEBODY) == []
    errors_at(house, clock.at, 3)
    [alert] = new_errors(house, now=clock.at, actor=SOMEBODY)
    assert (alert.status, alert.source, alert.service, alert.value) == ("firing", "log", "shop", 12.0)
    assert alert.evidence["frames"] == ["app.py:pay"]
    clock.at += timedelta(minutes=1)
    [again] = new_errors(house, now=clock.at, actor=SOMEBODY)
    assert (again.fingerprint, again.starts_at, again.status) == (alert.fingerprint, alert.starts_at, "firing")
    clock.at += timedelta(minutes=6)
    [over] = new_errors(house, now=clock.at, actor=SOMEBODY)
    assert (over.status, over.fingerprint) == ("resolved", alert.fingerprint)
    assert new_errors(house, now=clock.at, actor=SOMEBODY) == []


def test_no_alert_comes_of_what_was_known_or_rare_or_of_a_service_just_begun(house):
    clock = house.clock
    errors_at(house, NOW, 50)  # the first thing that is known of the service
    assert new_errors(house, now=NOW, actor=SOMEBODY) == []
    clock.at = NOW + timedelta(hours=2)
    errors_at(house, clock.at, 50)  # it is two hours old
    errors_at(house, clock.at, 50, version="0.1", text="ERROR gone {n} times")  # of a version that nobody has
    assert new_errors(house, now=clock.at, actor=SOMEBODY) == []


def test_of_lines_that_come_too_fast_the_errors_stay_and_the_rest_is_counted(house):
    intake = LogIntake(house, lines_per_s=10)
    kept = intake.take([line(f"tick {n}") for n in range(500)] + [line("ERROR bad", level=LogLevel.ERROR)])
    assert (kept.lines, kept.dropped) == (101, 400)
    [tick, _] = templates_of(house, service="shop", environment=PRODUCTION, since=NOW, until=NOW + DAY, actor=SOMEBODY)
    assert tick.count == 500
    with house.store.read() as unit:
        [service] = unit.logs.services()
    assert (service.lines, service.dropped) == (101, 400)


def test_old_lines_and_those_beyond_the_room_are_forgotten_and_no_longer_found(house):
    clock, intake = house.clock, LogIntake(house)
    intake.take([line("ancient word")])
    clock.at = NOW + 3 * DAY
    intake.take([line("recent word", at=clock.at)])
    assert forget_old_logs(house, keep=DAY, bytes_max=10**9) == 1
    assert texts(house, terms=read_terms("word")) == ["recent word"]
    for n in range(20):
        intake.take([line(f"filler {n}", at=clock.at)])
    with house.store.read() as unit:
        size = unit.logs.totals()[2]
    forget_old_logs(house, keep=DAY, bytes_max=size // 2)
    left = texts(house, terms=read_terms("filler"))
    assert left[0] == "filler 19"
    assert 8 <= len(left) <= 11
    assert texts(house, terms=read_terms("recent")) == []


def test_a_tail_gives_each_line_once(house):
    intake = LogIntake(house)
    intake.take([line("before")])
    tail = LogTail.begin(house, LogQuery(service="shop", terms=read_terms("-boring")), actor=SOMEBODY)
    assert tail.read() == []
    for n in range(15):
        intake.take([line(f"line {n}"), line("boring")])
    assert [found.line.text for found in tail.read()] == [f"line {n}" for n in range(15)]
    assert tail.read() == []
    again = LogTail.begin(house, LogQuery(), actor=SOMEBODY, after=search_logs(house, LogQuery(), actor=SOMEBODY).lines[5].id)
    intake.take([line("new")])
    assert "new" in [found.line.text for found in again.read()]


# ---- files


def instance(context: Context, path: Path, version: str = "1.0") -> Instance:
    made = Instance(
        id=str(new_id()), service="shop", environment=PRODUCTION, version=version, port=1, state=InstanceState.HEALTHY, pid=1, started=1.0,
        restarts=0, log_path=str(path), last_output="", updated_at=NOW,
    )  # fmt: skip
    with context.store.write() as unit:
        unit.fleets.add_instance(made)
    return made


def collector(context: Context) -> LogCollector:
    return LogCollector(context, LogIntake(context))


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_the_output_of_an_instance_is_collected_and_goes_on_in_another_process(house, tmp_path):
    path = tmp_path / "i.log"
    append(path, "one\ntwo\n" + BOOM.format(n=1) + "\n")
    made = instance(house, path)
    first = collector(house)
    assert first.turn() == 2  # the last record may go on
    append(path, "three\nunfinis")
    second = collector(house)  # the first one was killed
    assert second.turn() == 1
    second.turn()
    append(path, "hed\n")
    second.turn()
    second.turn()
    assert texts(house, instance=made.id) == ["unfinished", "three", BOOM.format(n=1), "two", "one"]
    [error] = errors_of(house, service="shop", environment=PRODUCTION, since=NOW, until=NOW + DAY, actor=SOMEBODY)
    assert (error.count, error.type) == (1, "KeyError")


def test_nothing_is_lost_or_read_twice_when_a_log_is_moved_aside_emptied_or_cut(house, tmp_path):
    path = tmp_path / "i.log"
    append(path, "".join(f"first {n}\n" for n in range(50)))
    instance(house, path)
    following = collector(house)
    following.turn()
    append(path, "last words\n")
    path.rename(tmp_path / "i.log.1")
    append(path, "new file\n")
    for _ in range(4):
        following.turn()
    append(path, "".join(f"second {n}\n" for n in range(60)))
    following.turn()
    append(path, "unread\n")
    trim(tmp_path, 400)
    append(path, "after the cut\n")
    for _ in range(4):
        following.turn()
    found = list(reversed(search_all(house)))
    assert found == [
        *(f"first {n}" for n in range(50)), "last words", "new file", *(f"second {n}" for n in range(60)), "unread", "after the cut",
    ]  # fmt: skip


def search_all(context: Context) -> list[str]:
    return [found.line.text for found in search_logs(context, LogQuery(), actor=SOMEBODY, limit=1_000).lines]


def test_an_instance_that_has_stopped_is_read_to_its_end(house, tmp_path):
    path = tmp_path / "i.log"
    append(path, "begin\n")
    made = instance(house, path)
    following = collector(house)
    following.turn()
    append(path, "FATAL it ends\n")
    with house.store.write() as unit:
        unit.fleets.set_instance(made.id, now=NOW, state=InstanceState.STOPPED)
    for _ in range(3):
        following.turn()
    assert "FATAL it ends" in texts(house)


def test_no_link_is_followed_and_a_missing_file_is_no_accident(house, tmp_path):
    (tmp_path / "secret").write_text("not for everybody\n")
    os.symlink(tmp_path / "secret", tmp_path / "i.log")
    instance(house, tmp_path / "i.log")
    instance(house, tmp_path / "nowhere.log")
    following = collector(house)
    following.turn()
    following.turn()
    assert texts(house) == []


# ---- traces


def span(service: str, span_id: int, parent: int | None = None, **more: object) -> Span:
    fields: dict[str, object] = {
        "trace_id": TRACE, "span_id": f"{span_id:016x}", "parent_id": f"{parent:016x}" if parent else "", "venture": "apollo",
        "service": service, "environment": PRODUCTION, "name": "GET /", "started_us": unix_us(NOW) + span_id, "duration_us": 20_000,
        "kind": "server",
    }  # fmt: skip
    return Span(**(fields | more))  # type: ignore[arg-type]


def test_spans_are_kept_listed_and_shown_and_their_calls_are_a_graph(house):
    intake = SpanIntake(house, Places(house))
    intake.take([
        span("shop", 1), span("shop", 2, 1, kind="client", error=True, attributes={"password": "x", "url": "https://a:bcdefg@h/"}),
        span("cart", 3, 2, error=True, duration_us=900_000),
    ])  # fmt: skip
    intake.settle()
    shown = find_trace(house, TRACE, actor=SOMEBODY)
    assert [(s.service, s.parent_id) for s in shown] == [("shop", ""), ("shop", f"{1:016x}"), ("cart", f"{2:016x}")]
    assert dict(shown[1].attributes) == {"password": "***", "url": "https://a:***@h/"}
    assert [s.service for s in list_traces(house, SpanQuery(), actor=SOMEBODY).spans] == ["shop"]
    slow = SpanQuery(service="cart", error=True, duration_min_ms=500.0, since=NOW, until=NOW + DAY)
    assert [s.span_id for s in list_traces(house, slow, actor=SOMEBODY).spans] == [f"{3:016x}"]
    assert list_traces(house, replace(slow, error=False), actor=SOMEBODY).spans == ()
    [edge] = call_graph(house, venture="apollo", since=NOW, until=NOW + timedelta(minutes=1), actor=SOMEBODY)
    assert (edge.caller, edge.callee, edge.calls, edge.error_ratio) == ("shop", "cart", 1, 1.0)
    other = Actor("kim", "api", Principal("kim", (Grant(Role.DEVELOPER, "gemini"),)))
    assert call_graph(house, venture=None, since=NOW, until=NOW + DAY, actor=other) == []
    with pytest.raises(NotFoundError):
        find_trace(house, TRACE, actor=other)


def test_pages_of_traces_lose_none(house):
    SpanIntake(house, Places(house)).take([span("shop", n + 1, trace_id=f"{n + 1:032x}") for n in range(25)])
    seen, before = [], None
    while True:
        page = list_traces(house, SpanQuery(service="shop"), actor=SOMEBODY, before=before, limit=10)
        seen += [s.trace_id for s in page.spans]
        before = page.next
        if before is None:
            break
    assert seen == [f"{n + 1:032x}" for n in reversed(range(25))]


def test_edges_written_again_are_not_counted_twice_and_two_writers_add_up(house):
    one, two = SpanIntake(house, Places(house)), SpanIntake(house, Places(house))
    for n in range(10):
        pair = [
            span("shop", 2 * n + 1, kind="client", trace_id=f"{n + 1:032x}"),
            span("cart", 2 * n + 2, 2 * n + 1, trace_id=f"{n + 1:032x}"),
        ]
        (one if n % 2 else two).take(pair)
        one.settle()
        two.settle()
    [edge] = call_graph(house, venture="apollo", since=NOW, until=NOW + timedelta(minutes=1), actor=SOMEBODY)
    assert edge.calls == 10


def test_work_on_a_release_is_one_trace_whoever_began_it(house):
    release = "0197c5a2-6f0e-7c3a-9b1f-2f6c1d0b7e11"
    keep = Keeper(lambda: house.store)
    keep([span("productops-flow", 1, trace_id="", subject=f"release/{release}")], [])
    assert len(find_trace(house, release.replace("-", ""), actor=SOMEBODY)) == 1
    other = "0197c5a2-6f0e-7c3a-9b1f-2f6c1d0b7e12"
    keep([], [SubjectLink(f"release/{other}", TRACE, f"{77:016x}")])
    keep([span("productops-agent", 2, trace_id="", subject=f"release/{other}")], [])
    [found] = find_trace(house, TRACE, actor=SOMEBODY)
    assert found.parent_id == f"{77:016x}"
    with pytest.raises(NotFoundError):
        trace_of_release(house, other, actor=SOMEBODY)


def test_old_spans_are_forgotten(house):
    SpanIntake(house, Places(house)).take([span("shop", 1)])
    house.clock.at = NOW + 5 * DAY
    assert forget_old_spans(house, keep=3 * DAY) == 1
    with pytest.raises(NotFoundError):
        find_trace(house, TRACE, actor=SOMEBODY)
