"""Weeks, figures with their change, addresses, and pages of what is known and what is not."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from productops.domain.analytics_report import (
    Kind,
    ReportFigure,
    ReportSection,
    WeeklyReport,
    headlines_of,
    recipients_for,
    report_document,
    report_of,
    span_of,
    week_named,
)
from productops.domain.analytics_report_pages import as_html, as_markdown, as_text
from productops.errors import InvalidInputError

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "value", "before", "written", "change"),
    [
        (Kind.COUNT, 1200, 1000, "1,200", "+200"), (Kind.COUNT, 3, 3, "3", "as before"), (Kind.COUNT, None, 3, "nothing measured", ""),
        (Kind.SHARE, 0.25, 0.5, "25.0%", "-25.0 points"), (Kind.HOURS, 0.5, 1.0, "30 min", "-30 min"),
        (Kind.HOURS, 100, None, "4.2 days", ""), (Kind.DATE, 20_000.4, 19_990.1, "2024-10-04", "10 days later"),
        (Kind.MILLISECONDS, 12.345, 10, "12.35 ms", "+2.345 ms"),
    ],
)  # fmt: skip
def test_a_figure_is_written_with_its_change(kind: Kind, value: float | None, before: float | None, written: str, change: str) -> None:
    figure = ReportFigure("x", kind, value, before)
    assert (figure.written, figure.change) == (written, change)


def test_weeks_are_those_of_iso_and_the_last_one_may_lie_in_the_year_before() -> None:
    assert week_named("last", now=NOW) == "2025-W52"
    assert week_named("current", now=NOW) == "2026-W01"
    assert span_of("2026-W01") == (datetime(2025, 12, 29, tzinfo=UTC), datetime(2026, 1, 5, tzinfo=UTC))
    with pytest.raises(InvalidInputError):
        week_named("2026-W02", now=NOW)
    with pytest.raises(InvalidInputError):
        span_of("2025-W53")


def test_recipients_are_of_all_ventures_or_of_one() -> None:
    text = "a@x.example, apollo:b@x.example,gemini:c@x.example , a@x.example"
    assert recipients_for(text, "apollo") == ("a@x.example", "b@x.example")
    assert recipients_for("", "apollo") == ()
    for wrong in ("nobody", "a@x.example\nBcc", "a b@x.example", "@x"):
        with pytest.raises(InvalidInputError):
            recipients_for(wrong, "apollo")


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=60))
def test_no_text_becomes_markup_on_the_page(text: str) -> None:
    sections = (ReportSection(text, (ReportFigure(text, Kind.COUNT, 1, 2, "/" + text, text),), (text,)), ReportSection("Empty", gap=text))
    report = WeeklyReport("apollo", "2026-W01", NOW, whole=True, headlines=headlines_of(sections), sections=sections)
    page = as_html(report)
    quiet = as_html(report_of(report_document(report) | {"headlines": ["x"] * len(report.headlines), "sections": []}))
    assert page.count("<li>") == quiet.count("<li>") + 1
    assert page.count("<a ") == page.count("<table>") == 1
    assert "<script" not in page
    assert as_text(report)
    assert as_markdown(report)


def test_what_is_not_measured_is_said_in_the_headlines() -> None:
    sections = (ReportSection("Usage"), ReportSection("Releases", sentences=("2.0 was rolled back",)))
    assert headlines_of(sections) == ("2.0 was rolled back", "Nothing measured: usage.")
