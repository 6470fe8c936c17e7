"""Send a report by mail: a row before each mail, so that nobody gets it twice, but for a crash between the mail and our note of it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta

from productops.domain.analytics_report import Letter, checked_address, report_of, week_named
from productops.domain.analytics_report_pages import as_html, as_text
from productops.domain.governance_access import Operation
from productops.errors import ConflictError, DependencyError, InvalidInputError, NotFoundError
from productops.store.analytics_reports import ReportMail, StoredReport
from productops.usecases.analytics_report import make_report
from productops.usecases.context import Actor, Context

ATTEMPTS_MAX = 8
SILENT_AFTER = timedelta(minutes=10)
DOUBTFUL_MAX = 1
RECIPIENTS_MAX = 100


def send_report(context: Context, venture: str, week: str, recipients: Sequence[str], *, base: str, actor: Actor) -> list[ReportMail]:
    """Send it to each recipient who has not got it; repeat what failed. ``base``: address of this installation, before links.

    One recipient that fails keeps no other waiting. What became of each is in the list. Raises: NotFoundError, ForbiddenError,
    InvalidInputError for what is no address, ConflictError for a week that is not over, SettingsError without a mail server,
    StoreUnavailableError.
    """
    name = week_named(week, now=context.clock.now())
    wanted = [checked_address(each) for each in dict.fromkeys(recipients)]
    if len(wanted) > RECIPIENTS_MAX:
        raise InvalidInputError(f"{len(wanted)} recipients; at most {RECIPIENTS_MAX} get a report, use a list of the mail server")
    actor.check(Operation.REPORT_SEND, venture=venture)
    context.need_mail()
    stored = make_report(context, venture, name, actor=actor)
    if not stored.whole:
        raise ConflictError(f"week {name} is not over, or was over less than two hours ago: its report would be sent unfinished")
    with context.store.write() as unit:
        before = {each.recipient for each in unit.analytics_reports.mails(stored.id)}
        unit.analytics_reports.plan_mails(stored.id, wanted, now=context.clock.now())
        if added := [each for each in wanted if each not in before]:
            unit.audit.add(
                "report.addressed", f"report/{venture}/{name}", actor=actor.name, origin=actor.origin, now=context.clock.now(),
                detail={"recipients": added},
            )  # fmt: skip
    for mail in _of(context, stored):
        if mail.recipient in wanted or not wanted:
            _send(context, stored, mail, base=base, actor=actor)
    return _of(context, stored)


def read_mails(context: Context, venture: str, week: str, *, actor: Actor) -> list[ReportMail]:
    """To whom it went. Raises: NotFoundError, ForbiddenError, StoreUnavailableError."""
    actor.check(Operation.REPORT_SEND, venture=venture)
    with context.store.read() as unit:
        stored = unit.analytics_reports.report(venture, week_named(week, now=context.clock.now()))
        if stored is None:
            raise NotFoundError(f"no report of {venture} for {week} is kept")
        return unit.analytics_reports.mails(stored.id)


def _of(context: Context, stored: StoredReport) -> list[ReportMail]:
    with context.store.read() as unit:
        return unit.analytics_reports.mails(stored.id)


def _send(context: Context, stored: StoredReport, mail: ReportMail, *, base: str, actor: Actor) -> None:
    """Claim the row, send, note it. Nothing is sent without the claim."""
    now = context.clock.now()
    silent = mail.state == "sending" and now - mail.at > SILENT_AFTER
    if not (mail.state in {"waiting", "failed"} or silent) or mail.attempts >= ATTEMPTS_MAX:
        return
    if (mail.doubtful + silent) > DOUBTFUL_MAX:
        if silent:
            _note(context, stored, mail, "failed", "two attempts ended without an answer; it may have arrived", doubtful=1, actor=actor)
        return
    with context.store.write() as unit:
        if not unit.analytics_reports.move_mail(mail, "sending", now=now, attempts=1, doubtful=int(silent)):
            return  # somebody else sends it at this moment
        claimed = next(each for each in unit.analytics_reports.mails(stored.id) if each.recipient == mail.recipient)
        unit.audit.add(
            "report.sending", f"report/{stored.venture}/{stored.week}", actor=actor.name, origin=actor.origin, now=now,
            before=mail.state, after="sending", detail={"recipient": mail.recipient, "attempt": claimed.attempts},
        )  # fmt: skip
    try:
        context.need_mail().send(_letter(stored, mail.recipient, base))
    except DependencyError as error:
        _note(context, stored, claimed, "failed", error.detail, doubtful=int(bool(error.extra.get("unsure"))), actor=actor)
        return
    said = "an earlier attempt ended without an answer: it may have arrived twice" if claimed.doubtful else ""
    _note(context, stored, claimed, "sent", said, actor=actor)


def _note(
    context: Context, stored: StoredReport, mail: ReportMail, state: str, error: str, *, actor: Actor, doubtful: int = 0
) -> None:  # fmt: skip
    now = context.clock.now()
    with context.store.write() as unit:
        if unit.analytics_reports.move_mail(mail, state, now=now, doubtful=doubtful, error=error):
            unit.audit.add(
                f"report.{state}", f"report/{stored.venture}/{stored.week}", actor=actor.name, origin=actor.origin, now=now,
                before=mail.state, after=state, detail={"recipient": mail.recipient, "error": error},
            )  # fmt: skip


def _letter(stored: StoredReport, recipient: str, base: str) -> Letter:
    report = report_of(stored.document)
    mark = hashlib.blake2b(f"{stored.id} {recipient}".encode(), digest_size=16).hexdigest()
    return Letter(recipient, report.title, as_text(report), as_html(report, base=base), f"<{mark}@productops.invalid>")
