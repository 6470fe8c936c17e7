"""Freezes and windows through the catalog, the store and the use cases, on real databases."""

from dataclasses import replace
from datetime import timedelta

import pytest

from productops.adapters.calendar_sources import CalendarSources
from productops.adapters.calendar_writing import write_feed
from productops.adapters.catalog_files import load_catalog
from productops.domain.governance_access import MACHINE
from productops.domain.release import Cause, Environment, Phase, Release, Strategy
from productops.domain.release_windows import BypassState
from productops.domain.release_windows_feed import FeedEntry
from productops.errors import CatalogError, ChangeFrozenError, ConflictError, InvalidInputError, NotFoundError, SelfApprovalError
from productops.store.identity import new_id
from productops.usecases.catalog import apply_catalog
from productops.usecases.context import Actor, Clock, Context
from productops.usecases.release_reconcile import start_unstarted
from productops.usecases.release_request import ReleaseWish, place_release, request_release, start_release
from productops.usecases.release_rollback import find_to_roll_back, roll_back
from productops.usecases.release_windows import is_planned, list_windows, next_opening, read_calendar
from productops.usecases.release_windows_bypass import approve_bypass, request_bypass
from productops.usecases.release_windows_feed import feed_entries
from productops.usecases.release_windows_refresh import refresh_calendars
from tests.integration.test_api.support import HandMadeOrchestrator
from tests.support import PRODUCTION, SOMEBODY, add_service

ANN, BOB = Actor("ann", "cli", MACHINE), Actor("bob", "api", MACHINE)
SOURCES = CalendarSources()
VENTURE = "apiVersion: productops/v1\nkind: Venture\nmetadata: {name: apollo}\n"


class MovedClock(Clock):
    """The real clock, so much ahead."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def now(self):
        return super().now() + self.ahead


@pytest.fixture
def house(any_context: Context) -> Context:
    """Service ``shop``, live with 1.0; time can be moved; flows are started by hand."""
    made = replace(any_context, clock=MovedClock(), orchestrator=HandMadeOrchestrator())
    add_service(made, live="1.0")
    return made


def ics(context, *spans_h, title="Year-end closing"):
    """A calendar with an event for each pair of hours from now."""
    now = context.clock.now().replace(microsecond=0)
    entries = [
        FeedEntry(f"e{number}", title, "", now + timedelta(hours=a), now + timedelta(hours=b), now, ("audit",), "CONFIRMED")
        for number, (a, b) in enumerate(spans_h)
    ]
    return write_feed("x", entries)


def entry(name="holidays", effect="freeze", *, path="holidays.ics", more="", metadata="venture: apollo, labels: {reason: books}"):
    return (
        f"---\napiVersion: productops/v1\nkind: Calendar\nmetadata: {{name: {name}, {metadata}}}\n"
        f"spec: {{effect: {effect}, source: {{kind: file, path: {path}}}{more}}}\n"
    )


def apply(context, folder, *entries):
    (folder / "catalog.yaml").write_text(VENTURE + "".join(entries))
    changes = apply_catalog(context, load_catalog(folder), actor=SOMEBODY)
    refresh_calendars(context, SOURCES, actor=SOMEBODY, only_due=False)
    return {c.name: c.outcome for c in changes}


@pytest.fixture
def frozen(house: Context, tmp_path):
    """A freeze since an hour, for two more."""
    (tmp_path / "holidays.ics").write_bytes(ics(house, (-1, 2)))
    apply(house, tmp_path, entry())
    return house


def wish(version="2.0", **more):
    return ReleaseWish(service="shop", version=version, **more)


def audited(context):
    with context.store.read() as unit:
        assert unit.audit.first_broken() is None
        return [e["action"] for e in unit.audit.entries()]


def test_a_release_during_a_freeze_is_refused_with_the_event_its_end_and_the_next_opening(frozen):
    with pytest.raises(
        ChangeFrozenError, match=r"'Year-end closing' of calendar holidays until .*next opening is .*--start next-window"
    ) as caught:
        request_release(frozen, wish(), actor=ANN)
    assert caught.value.slug == "change-frozen"
    assert caught.value.extra["event"] == "Year-end closing"
    assert caught.value.extra["next_at"] == caught.value.extra["ends_at"]
    with frozen.store.read() as unit:
        assert unit.releases.active("shop", PRODUCTION) is None


def test_another_environment_is_not_frozen_when_the_calendar_names_one(house, tmp_path):
    (tmp_path / "holidays.ics").write_bytes(ics(house, (-1, 2)))
    apply(house, tmp_path, entry(more=", environments: [staging]"))
    assert request_release(house, wish(), actor=ANN).phase is Phase.REQUESTED
    with pytest.raises(ChangeFrozenError):
        request_release(house, wish(environment=Environment.STAGING), actor=ANN)


def test_outside_its_windows_nothing_starts_and_within_one_it_does(house, tmp_path):
    (tmp_path / "holidays.ics").write_bytes(ics(house, (3, 5)))
    apply(house, tmp_path, entry(effect="window"))
    with pytest.raises(ChangeFrozenError, match="outside its windows"):
        request_release(house, wish(), actor=ANN)
    house.clock.ahead = timedelta(hours=4)
    assert next_opening(house, "shop", PRODUCTION, actor=SOMEBODY).is_open
    assert request_release(house, wish(), actor=ANN).phase is Phase.REQUESTED


def test_a_planned_release_waits_and_the_reconciler_starts_it_at_the_opening(frozen):
    release = request_release(frozen, wish(start="next-window"), actor=ANN)
    assert is_planned(release)
    assert start_release(frozen, release) is None
    frozen.clock.ahead = timedelta(hours=1)
    assert start_unstarted(frozen) == []
    frozen.clock.ahead = timedelta(hours=2, minutes=1)
    assert start_unstarted(frozen) == [release.id]
    assert list(frozen.orchestrator.releases) == [release.id]


def test_a_release_that_was_written_but_not_started_before_a_freeze_waits_for_its_end(house, tmp_path):
    (tmp_path / "holidays.ics").write_bytes(ics(house, (1, 2)))
    apply(house, tmp_path, entry())
    release = request_release(house, wish(), actor=ANN)
    house.clock.ahead = timedelta(hours=1, minutes=1)
    assert start_unstarted(house) == []
    house.clock.ahead = timedelta(hours=2, minutes=1)
    assert start_unstarted(house) == [release.id]


def test_a_planned_release_can_be_withdrawn_without_blame_on_its_version(frozen):
    release = request_release(frozen, wish(start="next-window"), actor=ANN)
    assert roll_back(frozen, release.id, reason="not this year", actor=ANN).cause is Cause.CANCELLED
    assert request_release(frozen, wish(start="next-window"), actor=ANN).id != release.id


def test_a_planned_release_hinders_no_roll_back_of_what_users_have(frozen):
    with frozen.store.write() as unit:
        now = frozen.clock.now()
        live = promoted_before(now)
        unit.releases.add(live)
        for phase in (Phase.DEPLOYING, Phase.ROLLING_OUT, Phase.PROMOTING, Phase.VALIDATING, Phase.PROMOTED):
            unit.releases.move(live.id, phase, actor="flow", reason="", now=now)
    planned = request_release(frozen, wish(start="next-window"), actor=ANN)
    found = find_to_roll_back(frozen, None, "shop", PRODUCTION)
    assert found.id == live.id
    roll_back(frozen, found.id, reason="customers cannot pay", actor=ANN)
    with frozen.store.read() as unit:
        assert unit.releases.get(planned.id).cause is Cause.CANCELLED
        assert unit.fleets.find("shop", PRODUCTION, "0.9").desired == 2


def promoted_before(now):
    """The release that brought 1.0."""
    return Release(
        str(new_id()), "apollo", "shop", PRODUCTION, "1.0", "0.9", Strategy.CANARY, Phase.REQUESTED, (), {}, "ann", "cli", "", None, -1, 0,
        None, now, now, None,
    )  # fmt: skip


def test_a_calendar_that_was_never_read_forbids_and_says_what_to_mend(house, tmp_path):
    apply(house, tmp_path, entry(path="missing.ics"))
    with pytest.raises(ChangeFrozenError, match=r"nobody knows what calendar holidays says about now: .*missing\.ics cannot be read"):
        request_release(house, wish(), actor=ANN)


def test_the_last_good_copy_stays_in_force_when_its_source_fails_and_its_age_is_shown(frozen, tmp_path):
    before = read_calendar(frozen, "holidays", actor=SOMEBODY).calendars[0].state.read_at
    (tmp_path / "holidays.ics").write_text("<html>Sign in</html>")
    frozen.clock.ahead = timedelta(minutes=30)
    (found,) = refresh_calendars(frozen, SOURCES, actor=SOMEBODY)
    assert found.outcome == "failed"
    state = read_calendar(frozen, "holidays", actor=SOMEBODY).calendars[0].state
    assert (state.read_at, "<html>" in state.error) == (before, True)
    with pytest.raises(ChangeFrozenError, match="Year-end"):
        request_release(frozen, wish(), actor=ANN)
    frozen.clock.ahead = timedelta(minutes=40)
    refresh_calendars(frozen, SOURCES, actor=SOMEBODY)
    assert audited(frozen).count("calendar.failed") == 1
    (tmp_path / "holidays.ics").write_bytes(ics(frozen, (5, 6)))
    frozen.clock.ahead = timedelta(minutes=50)
    assert [f.outcome for f in refresh_calendars(frozen, SOURCES, actor=SOMEBODY)] == ["changed"]
    assert request_release(frozen, wish(), actor=ANN).phase is Phase.REQUESTED


def test_a_calendar_is_asked_again_only_when_its_time_has_come(frozen):
    assert refresh_calendars(frozen, SOURCES, actor=SOMEBODY) == []
    frozen.clock.ahead = timedelta(seconds=61)
    assert [f.outcome for f in refresh_calendars(frozen, SOURCES, actor=SOMEBODY)] == ["unchanged"]


def test_two_that_read_a_calendar_at_once_write_it_once(frozen, tmp_path):
    (tmp_path / "holidays.ics").write_bytes(ics(frozen, (7, 8)))

    class Slow(CalendarSources):
        def read(self, calendar):
            fetched = super().read(calendar)
            refresh_calendars(frozen, SOURCES, actor=BOB, only_due=False)
            return fetched

    frozen.clock.ahead = timedelta(minutes=5)
    assert [f.outcome for f in refresh_calendars(frozen, Slow(), actor=ANN)] == ["skipped"]
    assert audited(frozen).count("calendar.read") == 2


def test_what_is_no_longer_declared_is_removed(frozen, tmp_path):
    assert apply(frozen, tmp_path)["holidays"] == "removed"
    assert list_windows(frozen, actor=SOMEBODY).calendars == ()
    assert request_release(frozen, wish(), actor=ANN).phase is Phase.REQUESTED
    assert "catalog.removed" in audited(frozen)


def test_a_calendar_for_a_service_that_does_not_exist_is_refused(house, tmp_path):
    with pytest.raises(CatalogError, match="service 'shpo', which is not declared"):
        apply(house, tmp_path, entry(more=", services: [shpo]"))


def test_a_wrong_entry_names_file_line_and_field(house, tmp_path):
    with pytest.raises(CatalogError, match=r"catalog.yaml:\d+: spec.timezone: 'Berlin' is no time zone"):
        apply(house, tmp_path, entry(more=", timezone: Berlin"))
    with pytest.raises(CatalogError, match=r"spec\.effect: must be freeze or window"):
        apply(house, tmp_path, entry(effect="stop"))


def test_times_written_into_the_catalog_work_like_a_calendar(house, tmp_path):
    now = house.clock.now()
    text = (
        "---\napiVersion: productops/v1\nkind: ChangeWindow\nmetadata: {name: closing, venture: apollo}\nspec:\n  effect: freeze\n"
        f"  title: Books\n  times: [{{starts: '{now - timedelta(hours=1):%Y-%m-%dT%H:%M}', duration_s: 7200}}]\n"
    )
    assert apply(house, tmp_path, text)["closing"] == "created"
    with pytest.raises(ChangeFrozenError, match="'Books' of calendar closing"):
        request_release(house, wish(), actor=ANN)
    assert apply(house, tmp_path, text)["closing"] == "unchanged"


def test_events_and_calendars_are_found_by_service_and_label(frozen):
    assert [o.title for o in list_windows(frozen, service="shop", actor=SOMEBODY).occurrences] == ["Year-end closing"]
    for label in ("audit", "books", "reason=books"):
        assert len(list_windows(frozen, label=label, actor=SOMEBODY).occurrences) == 1
    assert list_windows(frozen, label="party", actor=SOMEBODY).calendars == ()
    with pytest.raises(NotFoundError):
        list_windows(frozen, venture="gemini", actor=SOMEBODY)


def bypass(context, **more):
    values = {"version": None, "reason": "customers cannot pay", "valid_for": timedelta(hours=1), "actor": ANN} | more
    return request_bypass(context, service="shop", environment=PRODUCTION, **values)


def test_two_people_can_let_one_release_start_during_a_freeze(frozen):
    asked = bypass(frozen)
    with pytest.raises(ChangeFrozenError, match="is not approved yet: somebody other than ann"):
        request_release(frozen, wish(bypass=asked.id), actor=ANN)
    with pytest.raises(SelfApprovalError):
        approve_bypass(frozen, asked.id, note="", actor=Actor("ANN ", "api", MACHINE))
    assert approve_bypass(frozen, asked.id, note="go", actor=BOB).approved_by == "bob"
    with pytest.raises(ConflictError, match="approved by bob already"):
        approve_bypass(frozen, asked.id, note="", actor=Actor("eve", "api", MACHINE))
    placed = place_release(frozen, wish(bypass=asked.id), actor=ANN, idempotency_key="k")
    assert start_release(frozen, placed.release) is not None
    assert place_release(frozen, wish(bypass=asked.id), actor=ANN, idempotency_key="k").replayed
    with frozen.store.read() as unit:
        spent = unit.bypasses.get(asked.id)
        told = [e.type for e in unit.releases.events(placed.release.id, after=0)]
    assert (spent.state(frozen.clock.now()), spent.used_by) == (BypassState.USED, f"release/{placed.release.id}")
    assert "bypassed" in told
    assert {"windows.bypass_asked", "windows.bypass_approved", "windows.bypassed"} <= set(audited(frozen))
    roll_back(frozen, placed.release.id, reason="x", actor=ANN)
    with pytest.raises(ChangeFrozenError, match="was used for release/"):
        request_release(frozen, wish("3.0", bypass=asked.id), actor=ANN)


def test_a_bypass_expires_and_is_for_its_service_and_version_only(frozen):
    asked = bypass(frozen, version="2.0")
    approve_bypass(frozen, asked.id, note="", actor=BOB)
    with pytest.raises(ChangeFrozenError, match=r"is for shop 2\.0 in production, not for shop 2\.1"):
        request_release(frozen, wish("2.1", bypass=asked.id), actor=ANN)
    frozen.clock.ahead = timedelta(minutes=61)
    with pytest.raises(ChangeFrozenError, match="expired"):
        request_release(frozen, wish(bypass=asked.id), actor=ANN)
    with pytest.raises(InvalidInputError, match="valid for"):
        bypass(frozen, valid_for=timedelta(days=30))


def test_a_bypass_that_is_not_needed_is_not_spent(house):
    asked = bypass(house)
    approve_bypass(house, asked.id, note="", actor=BOB)
    request_release(house, wish(bypass=asked.id), actor=ANN)
    with house.store.read() as unit:
        assert unit.bypasses.get(asked.id).state(house.clock.now()) is BypassState.APPROVED


def test_the_feed_has_freezes_planned_releases_and_running_ones(frozen):
    request_release(frozen, wish(start="next-window"), actor=ANN)
    with_plan = {e.title: e for e in feed_entries(frozen, "apollo", PRODUCTION)}
    assert list(with_plan) == ["Freeze: Year-end closing", "Planned release: shop 2.0"]
    assert with_plan["Planned release: shop 2.0"].starts_at == with_plan["Freeze: Year-end closing"].ends_at
    assert feed_entries(frozen, "apollo", Environment.STAGING)[0].title == "Freeze: Year-end closing"
    with pytest.raises(NotFoundError):
        feed_entries(frozen, "gemini", PRODUCTION)
