"""Daily figures: what they count, and that they follow the files whatever happens."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from productops.adapters.analytics_usage_people import PeopleFolder
from productops.domain.analytics_events import person_number
from productops.domain.analytics_usage import PeriodUnit, UsageDay
from productops.usecases.analytics_events_erase import erase_some, request_erasure
from productops.usecases.analytics_events_folder import folder_of, holding
from productops.usecases.analytics_usage_refresh import after_files_changed, refresh_all, refresh_daily
from productops.usecases.context import Context
from tests.integration.analytics_usage_lab import happened, put, usage_context, when
from tests.support import SOMEBODY

FIRST = date(2026, 6, 1)


@pytest.fixture
def lab(context: Context, tmp_path: Path) -> Context:
    return usage_context(context, tmp_path)


def figures(lab: Context, dimension: str = "", features: tuple[str, ...] | None = None) -> dict[tuple[int, str, str], UsageDay]:
    with lab.store.read() as unit:
        found = unit.analytics_usage.daily("apollo", since=FIRST, until=FIRST + timedelta(days=90), features=features, dimension=dimension)
    return {((row.day - FIRST).days, row.feature, row.value): row for row in found}


def periods(lab: Context, unit_: PeriodUnit) -> list[tuple[str, str, int, int]]:
    with lab.store.read() as unit:
        found = unit.analytics_usage.periods("apollo", unit_, since=date(2026, 1, 1), until=date(2027, 1, 1))
    return [(row.begin.isoformat(), row.feature, row.people, row.new_people) for row in found]


def test_a_day_is_counted_by_feature_and_dimension(lab: Context) -> None:
    put(lab, [
        happened("ann", "search", 0, 1, feature="search", platform="web", duration_ms=10.0),
        happened("ann", "search", 0, 2, feature="search", platform="ios", duration_ms=30.0, failed=True),
        happened("bob", "search", 0, 3, feature="search", platform="web", value=2.5),
        happened("bob", "open", 0, 4), happened("bob", "$exposure", 0, 5),
    ])  # fmt: skip
    done = refresh_daily(lab, "apollo")
    assert (done.days, done.again) == ((FIRST,), 0)
    found = figures(lab)
    whole, search = found[0, "", ""], found[0, "search", ""]
    assert (whole.events, whole.people, whole.new_people, whole.failures, whole.value_sum) == (4, 2, 2, 1, 2.5)
    assert (search.events, search.people) == (3, 2)
    assert (search.duration_count, search.duration_sum_ms, search.duration_p50_ms, search.duration_p95_ms) == (2, 40.0, 20.0, 29.0)
    by = figures(lab, "platform", ("search",))
    assert {value: (row.events, row.people) for (_, _, value), row in by.items()} == {"web": (2, 2), "ios": (1, 1)}
    assert found[0, "search", ""].failure_rate == pytest.approx(1 / 3)


def test_nothing_is_counted_twice_and_only_days_that_changed(lab: Context) -> None:
    put(lab, [happened("ann", "open", 0), happened("ann", "open", 1)])
    assert len(refresh_daily(lab, "apollo").days) == 2
    assert refresh_daily(lab, "apollo").days == ()
    put(lab, [happened("bob", "open", 1)])
    assert refresh_daily(lab, "apollo").days == (FIRST + timedelta(days=1),)
    assert figures(lab)[1, "", ""].people == 2


def test_somebody_who_turns_out_to_have_been_there_before_is_no_longer_new(lab: Context) -> None:
    put(lab, [happened("ann", "search", 5, feature="search")])
    refresh_daily(lab, "apollo")
    assert figures(lab)[5, "search", ""].new_people == 1
    put(lab, [happened("ann", "open", 2)])
    assert refresh_daily(lab, "apollo").again == 1
    found = figures(lab)
    assert (found[2, "", ""].new_people, found[5, "", ""].new_people, found[5, "search", ""].new_people) == (1, 0, 1)


def test_people_of_weeks_and_months_are_exact(lab: Context) -> None:
    put(
        lab,
        [happened("ann", "open", day) for day in (0, 1, 8, 29, 30)] + [happened("bob", "search", day, feature="search") for day in (6, 7)],
    )
    refresh_daily(lab, "apollo")
    assert periods(lab, PeriodUnit.WEEK) == [
        ("2026-06-01", "", 2, 2), ("2026-06-01", "search", 1, 1), ("2026-06-08", "", 2, 0), ("2026-06-08", "search", 1, 0),
        ("2026-06-29", "", 1, 0),
    ]  # fmt: skip
    assert periods(lab, PeriodUnit.MONTH) == [("2026-06-01", "", 2, 2), ("2026-06-01", "search", 1, 1), ("2026-07-01", "", 1, 0)]


def erase(lab: Context, person: str) -> None:
    request_erasure(lab, "apollo", person, secret=b"productops", actor=SOMEBODY)
    refresh_daily(lab, "apollo")
    with holding(lab) as held:
        while erase_some(lab, held):
            pass


def test_who_is_erased_is_taken_out_of_all_figures_and_is_new_when_coming_back(lab: Context) -> None:
    lab.clock.at = when(38)  # type: ignore[attr-defined]
    put(lab, [happened("ann", "open", 0), happened("ann", "open", 1), happened("bob", "open", 1), happened("ann", "open", 20, feature="f")])
    refresh_daily(lab, "apollo")
    lab.clock.at = when(40)  # type: ignore[attr-defined]
    erase(lab, "ann")
    refresh_daily(lab, "apollo")
    assert {(day, feature): row.people for (day, feature, _), row in figures(lab).items()} == {(1, ""): 1}
    folder = folder_of(lab).folder / "_usage" / "apollo"
    ann = np.array([person_number("apollo", "ann")], np.uint64)
    assert sorted(path.name[:10] for path in folder.glob("2026*")) == ["2026-06-02"]
    lab.clock.at = when(44)  # type: ignore[attr-defined]
    for day in (41, 42, 43):
        put(lab, [happened("ann", "open", day)])
        refresh_daily(lab, "apollo")
    found = figures(lab)
    assert [found[day, "", ""].new_people for day in (1, 41, 42, 43)] == [1, 1, 0, 0]
    assert PeopleFolder(folder_of(lab).folder, "apollo").first_seen().of(ann)[0] in {0, (FIRST + timedelta(days=41)).toordinal()}  # type: ignore[union-attr]


def test_figures_outlive_events_that_are_kept_for_a_time_only(lab: Context) -> None:
    put(lab, [happened("ann", "open", 0), happened("ann", "open", 9)])
    refresh_daily(lab, "apollo")
    with lab.store.read() as unit:
        files = unit.analytics_events.files("apollo", folder=folder_of(lab).folder)
    with lab.store.write() as unit:
        unit.analytics_events.retire([files[0].id], why="expired", now=lab.clock.now())
    refresh_daily(lab, "apollo")
    assert figures(lab)[0, "", ""].people == 1
    put(lab, [happened("ann", "open", 10)])
    refresh_daily(lab, "apollo")
    assert figures(lab)[10, "", ""].new_people == 0, "she is remembered, though the events of her first day are gone"


@pytest.mark.parametrize("harm", ["first.npz gone", "first.npz torn", "all gone"])
def test_what_lies_beside_the_events_can_be_made_anew(lab: Context, harm: str) -> None:
    put(lab, [happened(f"p{n % 5}", "open", n, feature="f") for n in range(9)])
    refresh_daily(lab, "apollo")
    before = figures(lab)
    folder = folder_of(lab).folder / "_usage" / "apollo"
    for path in folder.iterdir():
        if path.name == "first.npz" or harm == "all gone":
            path.unlink() if harm.endswith("gone") else path.write_bytes(path.read_bytes()[:100])
    put(lab, [happened("p0", "open", 9, feature="f")])
    refresh_daily(lab, "apollo")
    after = figures(lab)
    assert {key: row for key, row in after.items() if key in before} == before
    assert after[9, "f", ""].new_people == 0


def test_today_is_counted_again_when_it_is_over(lab: Context) -> None:
    put(lab, [happened("ann", "open", 0)])
    lab.clock.at = when(0, 20)  # type: ignore[attr-defined]
    assert len(refresh_daily(lab, "apollo").days) == 1
    assert refresh_daily(lab, "apollo").days == (), "no file of it changed"
    lab.clock.at = when(1, 1)  # type: ignore[attr-defined]
    assert refresh_daily(lab, "apollo").days == (FIRST,), "now it is over"
    assert refresh_daily(lab, "apollo").days == ()


def test_a_file_that_goes_while_it_is_counted_is_found_again_by_the_next_round(lab: Context) -> None:
    put(lab, [happened("ann", "open", 0)])
    with lab.store.read() as unit:
        path = Path(unit.analytics_events.files("apollo", folder=folder_of(lab).folder)[0].path)
    aside = path.rename(path.with_suffix(".aside"))
    assert refresh_all(lab) == []
    after_files_changed(lab, "apollo", [FIRST])
    aside.rename(path)
    assert [each.days for each in refresh_all(lab)] == [(FIRST,)]


def test_counted_days_and_counting_by_hand_agree(lab: Context) -> None:
    random = np.random.default_rng(5)
    events = [
        happened(
            f"p{random.integers(40)}", "do", int(random.integers(0, 20)), float(random.uniform(0, 24)), feature=f"f{random.integers(3)}"
        )
        for _ in range(800)
    ]  # fmt: skip
    for part in range(4):
        put(lab, events[part::4])
        refresh_daily(lab, "apollo")
    seen: dict[tuple[str, str], int] = {}
    who: dict[tuple[int, str], set[str]] = {}
    for event in sorted(events, key=lambda e: str(e["timestamp"])):
        day = (date.fromisoformat(str(event["timestamp"])[:10]) - FIRST).days
        for feature in ("", str(event["properties"].get("feature"))):
            who.setdefault((day, feature), set()).add(event["userId"])
            seen.setdefault((feature, event["userId"]), day)
    found = figures(lab)
    assert {(day, f): row.people for (day, f, _), row in found.items()} == {key: len(people) for key, people in who.items()}
    assert {(day, f): row.new_people for (day, f, _), row in found.items()} == {
        (day, f): sum(seen[f, person] == day for person in people) for (day, f), people in who.items()
    }


def test_every_kind_of_database_keeps_the_same_figures(any_context: Context, tmp_path: Path) -> None:
    lab = usage_context(any_context, tmp_path)
    put(lab, [happened("ann", "open", 0, feature="f"), happened("bob", "open", 1, feature="f")])
    refresh_daily(lab, "apollo")
    row = figures(lab)[1, "f", ""]
    with lab.store.write() as unit:
        unit.analytics_usage.put_daily([replace(row, events=7)])
        assert unit.analytics_usage.features("apollo", since=FIRST, until=date(2026, 7, 1)) == [("f", 8, 2)]
        assert unit.analytics_usage.span("apollo") == (FIRST, FIRST + timedelta(days=1))
        assert unit.analytics_usage.ventures_of("f") == ["apollo"]
    assert figures(lab)[1, "f", ""].events == 7
