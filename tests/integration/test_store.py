"""What the store promises, on SQLite and on PostgreSQL."""

import sqlite3
import threading
import uuid

import pytest
from sqlalchemy import create_engine, text

from productops.domain.release import Environment
from productops.errors import LeaseLostError, SettingsError, StoreUnavailableError
from productops.store import Store
from productops.store.database import make_engine
from productops.store.identity import new_id
from productops.store.migrate import current, head, upgrade
from tests.support import PRODUCTION, add_service, sqlite_url

RELEASE = "018f3a40-0000-7000-8000-000000000001"


def shift(unit, now, *, fence, pct=20):
    return unit.traffic.shift(
        "shop", PRODUCTION, fence=fence, candidate_version="2", candidate_pct=pct, header_only=False, holder="h", ttl_s=5, now=now
    )


def test_a_writer_with_an_old_fence_moves_nothing(any_context):
    now = any_context.clock.now()
    with any_context.store.write() as unit:
        old = unit.traffic.take("shop", PRODUCTION, RELEASE)
        new = unit.traffic.take("shop", PRODUCTION, RELEASE)
    with pytest.raises(LeaseLostError), any_context.store.write() as unit:
        shift(unit, now, fence=old)
    with any_context.store.write() as unit:
        generation = shift(unit, now, fence=new)
    with any_context.store.read() as unit:
        target = unit.traffic.get("shop", PRODUCTION)
    assert (target.generation, target.candidate_pct, target.confirmed) == (generation, 20, False)


def test_a_lease_renewed_at_the_last_instant_does_not_lapse(any_context):
    now = any_context.clock.now()
    with any_context.store.write() as unit:
        fence = unit.traffic.take("shop", PRODUCTION, RELEASE)
        shift(unit, now, fence=fence)
        beat = unit.traffic.get("shop", PRODUCTION).lease.beat
        unit.traffic.renew("shop", PRODUCTION, fence=fence, ttl_s=5, now=now)
    with any_context.store.write() as unit:
        assert not unit.traffic.lapse("shop", PRODUCTION, beat=beat)
        assert unit.traffic.lapse("shop", PRODUCTION, beat=beat + 1)
        assert not unit.traffic.lapse("shop", PRODUCTION, beat=beat + 1)


def test_only_the_present_generation_can_be_confirmed(any_context):
    now = any_context.clock.now()
    with any_context.store.write() as unit:
        fence = unit.traffic.take("shop", PRODUCTION, RELEASE)
        first = shift(unit, now, fence=fence)
        second = shift(unit, now, fence=fence, pct=50)
        assert not unit.traffic.confirm("shop", PRODUCTION, generation=first, now=now)
        assert unit.traffic.confirm("shop", PRODUCTION, generation=second, now=now)


def test_each_attempt_of_a_run_is_claimed_once_by_many_claimants(any_context):
    won = []

    def claim(number):
        with any_context.store.write() as unit:
            if unit.runs.claim("run", 0, owner=f"d#{number}", now=any_context.clock.now()):
                won.append(number)

    threads = [threading.Thread(target=claim, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1


def test_the_audit_chain_names_the_entry_that_was_changed(any_context, database_url):
    with any_context.store.write() as unit:
        for number in range(20):
            unit.audit.add("act", f"s/{number}", actor="a", origin="cli", now=any_context.clock.now(), detail={"n": number})
    with any_context.store.read() as unit:
        assert unit.audit.first_broken() is None
    engine = create_engine(database_url)
    with engine.begin() as connection:
        on = " ON audit_entries" if engine.dialect.name == "postgresql" else ""
        connection.execute(text(f"DROP TRIGGER audit_entries_no_update{on}"))
        connection.execute(text("UPDATE audit_entries SET origin = 'mallory' WHERE seq = 13"))
    engine.dispose()
    with any_context.store.read() as unit:
        assert unit.audit.first_broken() == 13


def test_writers_at_once_keep_the_audit_chain_whole(any_context):
    def write():
        for number in range(5):
            with any_context.store.write() as unit:
                unit.audit.add("act", f"s/{number}", actor="a", origin="cli", now=any_context.clock.now())

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with any_context.store.read() as unit:
        assert unit.audit.first_broken() is None
        assert len(unit.audit.entries()) == 20


def test_the_requirements_tables_have_their_columns(any_context, database_url):
    engine = create_engine(database_url)
    wanted = {
        "deployment_ops_events": "ops_id venture_id deployment_id version environment pipeline_status deployment_type started_at "
        "completed_at duration success_metrics failure_details rollback_details performance_impact chairman_approval created_at",
        "infrastructure_metrics": "metric_id venture_id infrastructure_component metric_category metric_name metric_value "
        "threshold_warning threshold_critical status tags recorded_at",
        "incident_management": "incident_id venture_id incident_type severity status title description affected_services detection_method "
        "root_cause resolution_steps impact_assessment mttr_minutes chairman_escalation detected_at resolved_at postmortem_completed",
        "scaling_operations": "scaling_id venture_id scaling_trigger scaling_action resource_type baseline_capacity target_capacity "
        "actual_capacity scaling_duration cost_impact performance_impact status chairman_approval_required initiated_at completed_at",
        "ventures": "id",
    }
    with engine.connect() as connection:
        for table, columns in wanted.items():
            connection.execute(text(f"SELECT {', '.join(columns.split())} FROM {table}"))
    engine.dispose()


def test_migrating_twice_changes_nothing(database_url):
    upgrade(database_url)
    upgrade(database_url)
    assert current(database_url) == head()


def test_a_database_of_a_newer_version_is_refused_with_its_name(database_url):
    upgrade(database_url)
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(SettingsError, match="9999.*newer productops"):
        upgrade(database_url)


def test_a_locked_database_is_an_answer_not_a_hang(tmp_path):
    url = sqlite_url(tmp_path)
    upgrade(url)
    store = Store(url)
    holder = sqlite3.connect(tmp_path / "productops.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailableError, match="locked"), store.write() as unit:
        unit.traffic.get("shop", PRODUCTION)
    holder.execute("ROLLBACK")
    holder.close()
    with store.write() as unit:
        assert unit.traffic.get("shop", PRODUCTION).generation == 0
    store.close()


def test_a_database_that_is_not_there_is_an_answer_not_a_hang():
    store = Store("postgresql+psycopg://nobody@127.0.0.1:9/none")
    with pytest.raises(StoreUnavailableError), store.read() as unit:
        unit.traffic.all()


@pytest.mark.parametrize("url", ["nonsense", "mysql://h/d", "sqlite+nope:///x"])
def test_an_unsupported_database_is_named(url):
    with pytest.raises(SettingsError, match="sqlite"):
        make_engine(url)


def test_ids_rise_with_time():
    ids = [new_id() for _ in range(200)]
    assert ids == sorted(ids)
    assert all(isinstance(i, uuid.UUID) and i.version == 7 for i in ids)


def test_an_unchanged_catalog_entry_keeps_its_revision(any_context):
    add_service(any_context)
    add_service(any_context)
    with any_context.store.read() as unit:
        assert unit.catalog.service("shop").revision == 1


def test_seconds_that_could_not_be_measured_are_not_zero(any_context):
    key = ("shop", Environment.PRODUCTION, "1")
    with any_context.store.write() as unit:
        unit.seconds.add(100, {key: None})
    with any_context.store.read() as unit:
        assert unit.seconds.between("shop", PRODUCTION, ["1"], after_s=0) == {100: {"1": None}}
