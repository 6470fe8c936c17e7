"""The weekly report from a real store: figures and gaps, the page, the mail to a real server on loopback, the API."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from productops.adapters.analytics_mail import SmtpMail, connect_mail
from productops.domain.analytics_predict import SuccessPrediction
from productops.domain.analytics_report import Letter, report_of
from productops.domain.analytics_report_pages import as_html, as_markdown, as_text
from productops.domain.analytics_usage import UsageDay
from productops.domain.governance_access import Grant, Operation, Principal, Role
from productops.errors import ConflictError, DependencyError, ForbiddenError, InvalidInputError, NotFoundError, SettingsError
from productops.settings import Settings
from productops.store.analytics_reports import ReportMail
from productops.usecases.analytics_optimize import OptimizeWish, optimize_performance
from productops.usecases.analytics_report import list_reports, make_report, read_report
from productops.usecases.analytics_report_mail import send_report
from productops.usecases.context import Actor, Context
from tests.integration.analytics_mail_lab import MailServer, mail_server
from tests.integration.test_analytics_optimize import Stopped, minutes, promoted
from tests.integration.test_api.support import TOKEN, client_of, free_ports, serving
from tests.support import SOMEBODY, add_service, make_context, sqlite_url

MONDAY = datetime(2026, 11, 16, tzinfo=UTC)
WEEK = "2026-W46"  # the one before
TO = ["boss@apollo.example"]
SMTP = {"smtp_host": "127.0.0.1", "smtp_security": "none", "smtp_from": "ops@apollo.example"}


@pytest.fixture
def server() -> Iterator[MailServer]:
    with mail_server() as found:
        yield found


@pytest.fixture
def context(tmp_path: Path, server: MailServer) -> Iterator[Context]:
    mail = SmtpMail("127.0.0.1", server.port, sender="ops@apollo.example", security="none")
    made = replace(make_context(sqlite_url(tmp_path)), clock=Stopped(MONDAY + timedelta(hours=6)), mail=mail)
    yield made
    made.store.close()


def happen(context: Context, *, evil: str = "invoice") -> None:
    """Two releases, an incident, use that grew, a prediction."""
    add_service(context)
    with context.store.write() as unit:
        for week, people in ((2, 1000), (1, 1200)):
            for number in range(7):
                day = (MONDAY - timedelta(weeks=week) + timedelta(days=number)).date()
                unit.analytics_usage.put_daily(
                    [UsageDay("apollo", day, name, "", "", people * 3, people, 20, 30, 9, 9.0, 80.0, 200.0, 0.0) for name in ("", evil)]
                )
        venture = unit.catalog.venture_id("apollo")
        incident = unit.incidents.open(
            venture_id=venture, kind="deployment", severity="SEV1", title=f"{evil} is down", description="", services=["shop"],
            detection="person", impact={}, now=MONDAY - timedelta(days=3),
        )  # fmt: skip
        assert incident
        for days, chance in ((9, 0.6), (2, 0.22)):
            at = MONDAY - timedelta(days=days)
            unit.analytics_reports.put_prediction(
                SuccessPrediction(
                    "apollo", "invoice", at.date(), MONDAY + timedelta(days=20), 0.1, chance, 0.5, "prior", 9, {}, ("slow",), at
                )
            )
    promoted(context, "2.0", "1.0", ago=timedelta(days=4))
    promoted(context, "2.1", "2.0", ago=timedelta(days=2))


def test_figures_stand_beside_their_change_and_what_is_not_measured_says_so(context: Context) -> None:
    happen(context)
    text = as_text(read_report(context, "apollo", WEEK, actor=SOMEBODY))
    assert "apollo, week 2026-W46 (09 Nov to 15 Nov 2026)" in text
    assert "to all users                                          2  +2" in text
    assert "events                                           25,200  +4,200" in text
    assert "invoice reaches 10.0%                             22.0%  -38.0 points (by 2026-12-06)" in text
    assert "SEV1 open: invoice is down" in text
    assert "No version was judged by quality gates yet." in text
    assert "Nothing measured: " in text
    empty = as_text(read_report(context, "apollo", "2026-W10", actor=SOMEBODY))
    assert "No usage event was counted in these two weeks." in empty


def test_a_week_that_is_over_is_made_once_and_one_that_is_not_is_made_anew(context: Context) -> None:
    happen(context)
    first = make_report(context, "apollo", "last", actor=SOMEBODY)
    assert isinstance(context.clock, Stopped)
    context.clock.at += timedelta(days=1)
    assert make_report(context, "apollo", WEEK, actor=SOMEBODY) == first
    assert first.whole
    now = make_report(context, "apollo", "current", actor=SOMEBODY)
    context.clock.at += timedelta(hours=1)
    later = make_report(context, "apollo", "current", actor=SOMEBODY)
    assert (now.id, now.whole) == (later.id, False)
    assert later.made_at > now.made_at
    assert [each.week for each in list_reports(context, "apollo", actor=SOMEBODY)] == ["2026-W47", WEEK]


@pytest.mark.parametrize("week", ["2026-W54", "2026-47", "soon", "2026-W52"])
def test_nonsense_and_the_future_are_no_weeks(context: Context, week: str) -> None:
    with pytest.raises(InvalidInputError):
        read_report(context, "apollo", week, actor=SOMEBODY)


def test_who_may_not_see_a_room_may_not_see_the_page(context: Context) -> None:
    narrow = Principal("mia", (Grant(Role.ADMIN, "apollo"),), operations=frozenset({Operation.ANALYTICS_READ}))
    with pytest.raises(ForbiddenError):
        read_report(context, "apollo", WEEK, actor=Actor("mia", "api", narrow))
    with pytest.raises(NotFoundError):
        read_report(context, "apollo", WEEK, actor=Actor("sam", "api", Principal("sam", (Grant(Role.ADMIN, "gemini"),))))


def test_what_people_wrote_is_text_on_the_page_and_never_markup(context: Context) -> None:
    happen(context, evil="<script>alert(1)</script>|[x](javascript:1)")
    report = read_report(context, "apollo", WEEK, actor=SOMEBODY)
    page = as_html(report, base="https://ops.example")
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "\\[x\\](javascript:1)" in as_markdown(report)
    assert "<script" not in as_markdown(report).replace("\\<", "")
    assert 'href="https://ops.example/api/v1/product-ops/' in page
    assert report_of(make_report(context, "apollo", WEEK, actor=SOMEBODY).document) == report


def sent(context: Context, to: list[str] = TO) -> list[ReportMail]:
    return send_report(context, "apollo", WEEK, to, base="https://ops.example", actor=SOMEBODY)


def test_a_report_is_mailed_once_as_text_and_html(context: Context, server: MailServer) -> None:
    happen(context)
    assert [each.state for each in sent(context)] == ["sent"]
    sent(context)
    (letter,) = server.letters
    assert letter["Subject"] == "apollo, week 2026-W46 (09 Nov to 15 Nov 2026)"
    assert [part.get_content_type() for part in letter.iter_parts()] == ["text/plain", "text/html"]
    plain = letter.get_body(("plain",))
    assert plain is not None
    assert "SEV1 open: invoice is down" in plain.get_content()
    assert [each.recipient for each in sent(context, ["other@apollo.example"])] == ["boss@apollo.example", "other@apollo.example"]
    assert server.recipients == ["boss@apollo.example", "other@apollo.example"]


def test_a_mail_that_is_refused_keeps_no_other_waiting_and_is_tried_again(context: Context, server: MailServer) -> None:
    server.refuse = {"boss@apollo.example"}
    both = sent(context, [*TO, "other@apollo.example"])
    assert [(each.state, each.attempts) for each in both] == [("failed", 1), ("sent", 1)]
    assert "550 no such person" in both[0].error or "no such person" in both[0].error
    server.refuse = set()
    assert [each.state for each in sent(context, [*TO, "other@apollo.example"])] == ["sent", "sent"]
    assert sorted(server.recipients) == ["boss@apollo.example", "other@apollo.example"]


def test_a_line_cut_after_the_mail_doubles_it_once_at_most_and_says_so(context: Context, server: MailServer) -> None:
    server.hang_up_after_data = 5
    assert [(each.state, each.doubtful) for each in sent(context)] == [("failed", 1)]
    assert [(each.state, each.doubtful) for each in sent(context)] == [("failed", 2)]
    assert [(each.state, each.doubtful) for each in sent(context)] == [("failed", 2)]
    assert len(server.letters) == 2
    assert len({letter["Message-ID"] for letter in server.letters}) == 1


def test_a_crash_while_sending_is_repeated_after_ten_minutes_and_told(context: Context, server: MailServer) -> None:
    stored = make_report(context, "apollo", WEEK, actor=SOMEBODY)
    with context.store.write() as unit:
        unit.analytics_reports.plan_mails(stored.id, TO, now=context.clock.now())
        (mail,) = unit.analytics_reports.mails(stored.id)
        unit.analytics_reports.move_mail(mail, "sending", now=context.clock.now(), attempts=1)
    assert [each.state for each in sent(context)] == ["sending"]
    assert isinstance(context.clock, Stopped)
    context.clock.at += timedelta(minutes=11)
    (done,) = sent(context)
    assert (done.state, done.error) == ("sent", "an earlier attempt ended without an answer: it may have arrived twice")
    assert len(server.letters) == 1


def test_an_unfinished_week_and_a_bad_address_are_not_sent(context: Context, server: MailServer) -> None:
    with pytest.raises(ConflictError):
        send_report(context, "apollo", "current", TO, base="", actor=SOMEBODY)
    with pytest.raises(InvalidInputError):
        sent(context, ["boss@apollo.example\r\nBcc: all@apollo.example"])
    with pytest.raises(SettingsError):
        send_report(replace(context, mail=None), "apollo", WEEK, TO, base="", actor=SOMEBODY)
    developer = Actor("dev", "api", Principal("dev", (Grant(Role.DEVELOPER, "apollo"),)))
    with pytest.raises(ForbiddenError):
        send_report(context, "apollo", WEEK, TO, base="", actor=developer)
    assert server.letters == []


def test_mail_never_leaves_this_machine_without_tls(tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        connect_mail(Settings(home=tmp_path, **{**SMTP, "smtp_host": "mail.example"}))
    with pytest.raises(SettingsError):
        connect_mail(Settings(home=tmp_path, smtp_host="mail.example"))
    assert connect_mail(Settings(home=tmp_path)) is None
    away = SmtpMail("127.0.0.1", 9, sender="ops@apollo.example", security="none")
    with pytest.raises(DependencyError) as failed:
        away.send(_letter())
    assert failed.value.extra["unsure"] is False


def _letter() -> Letter:
    return Letter("boss@apollo.example", "s", "t", "<p>t</p>", "<1@x.invalid>")


@pytest.fixture
def served(tmp_path: Path, server: MailServer) -> Iterator[httpx.Client]:
    url = sqlite_url(tmp_path)
    more = {**SMTP, "smtp_port": server.port, "report_to": "apollo:boss@a.example"}
    settings = Settings(home=tmp_path, port_base=free_ports(), api_token=TOKEN, database_url=url, **more)
    made = replace(make_context(url), mail=connect_mail(settings))
    with serving(made, settings), client_of(settings) as client:
        yield client


def test_the_api_shows_the_page_and_sends_it(served: httpx.Client, server: MailServer) -> None:
    base = "/api/v1/product-ops/reports/apollo"
    body = served.get(f"{base}/last").json()
    assert body["whole"] is True
    assert {each["title"] for each in body["sections"]} >= {"Releases", "Usage", "Insights", "Delivery (DORA)"}
    page = served.get(f"{base}/last", params={"format": "html"})
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert served.get(f"{base}/last", params={"format": "markdown"}).text.startswith("# apollo, week")
    assert served.get(f"{base}/2026-W99").status_code == 422
    assert served.get(f"{base.replace('apollo', 'nope')}/last").status_code == 404
    answer = served.post(f"{base}/last/mails", json={})
    assert [(each["recipient"], each["state"]) for each in answer.json()["items"]] == [("boss@a.example", "sent")]
    assert served.get(f"{base}/last/mails").json() == answer.json()
    assert len(server.letters) == 1
    assert [each["week"] for each in served.get(base).json()["items"]] == [body["week"]]
    predictions = served.get("/api/v1/product-ops/predictions/apollo").json()
    assert predictions["items"] == []
    assert served.post("/api/v1/product-ops/predictions/apollo").status_code == 200


def test_both_databases_keep_minutes_runs_predictions_reports_and_mails(any_context: Context) -> None:
    at, day = MONDAY, MONDAY.date()
    each = minutes("1.0", begin=MONDAY, count=3)
    run = optimize_performance(replace(any_context, clock=Stopped(MONDAY)), _wish(any_context), actor=SOMEBODY, key="k")
    with any_context.store.write() as unit:
        unit.analytics_reports.put_minutes("shop", "production", day, each)
        unit.analytics_reports.put_minutes("shop", "production", day, each)
        for chance in (0.4, 0.6):
            unit.analytics_reports.put_prediction(
                SuccessPrediction("apollo", "invoice", day, at, 0.1, chance, 0.5, "prior", 9, {"a": None}, ("slow",), at)
            )
        kept = unit.analytics_reports.put_report("apollo", WEEK, {"a": 1}, by="tester", whole=True, now=at)
        assert unit.analytics_reports.put_report("apollo", WEEK, {"a": 2}, by="tester", whole=True, now=at) == kept
        unit.analytics_reports.plan_mails(kept.id, [*TO, *TO], now=at)
        (mail,) = unit.analytics_reports.mails(kept.id)
        assert unit.analytics_reports.move_mail(mail, "sending", now=at, attempts=1)
        assert not unit.analytics_reports.move_mail(mail, "sending", now=at, attempts=1)
        assert unit.analytics_reports.settle_predictions("apollo", "invoice", outcome="missed", actual=0.05, now=at) == 1
    with any_context.store.read() as unit:
        ((_, found),) = unit.analytics_reports.minutes_of("shop", "production", since=day)
        assert found.rows.tolist() == each.rows.tolist()
        (known,) = unit.analytics_reports.predictions("apollo", known=True)
        assert (known.probability, known.outcome) == (0.6, "missed")
        assert unit.analytics_reports.run(run.id) == run
    with pytest.raises(ConflictError), any_context.store.write() as unit:
        unit.analytics_reports.add_run(replace(run, id="01a1ff64-4370-73e0-af76-0e8abd5edb1f"))


def _wish(context: Context) -> OptimizeWish:
    add_service(context)
    return OptimizeWish(service="shop")
