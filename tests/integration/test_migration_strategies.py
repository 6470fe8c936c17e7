"""The schema that knows all strategies, on databases that had releases before."""

from __future__ import annotations

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError

from productops.domain.release import Phase, Strategy
from productops.store import Store
from productops.store.migrate import MIGRATIONS, upgrade
from productops.store.release_traffic import Traffic

RELEASE = """
INSERT INTO releases
(id, venture, service, environment, version, strategy, phase, steps, plan, requested_by, origin, reason, step_index, fence, created_at,
 updated_at)
VALUES
(:id, 'v', 'shop', 'production', '1', 'canary', 'rolled_back', '[]', '{}', 'x', 'api', '', -1, 0, '2026-01-01 00:00:00',
 '2026-01-01 00:00:00')
"""
EVENT = "INSERT INTO release_events (release_id, type, at, payload) VALUES (:id, 'phase', '2026-01-01 00:00:00', '{}')"
ID = "0190a0b0-0000-7000-8000-000000000001"


def to(url: str, revision: str, *, down: bool = False) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    (command.downgrade if down else command.upgrade)(config, revision)


def test_releases_from_before_stay_and_new_strategies_and_phases_are_taken(database_url: str) -> None:
    to(database_url, "0003")
    engine = create_engine(database_url.replace("postgresql://", "postgresql+psycopg://"))
    release_id = ID if engine.dialect.name != "sqlite" else ID.replace("-", "")
    with engine.begin() as connection:
        connection.execute(text(RELEASE), {"id": release_id})
        connection.execute(text(EVENT), {"id": release_id})
    upgrade(database_url)
    store = Store(database_url)
    with store.read() as unit:
        assert (unit.releases.get(ID).phase, len(unit.releases.events(ID, after=0))) == (Phase.ROLLED_BACK, 1)
    for strategy in (*Strategy, "feature-toggle"):
        with engine.begin() as connection:
            connection.execute(text("UPDATE releases SET strategy = :s, phase = 'passed'"), {"s": str(strategy)})
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(text("UPDATE releases SET strategy = 'sideways'"))
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(text("UPDATE releases SET phase = 'lost'"))
    store.close()
    to(database_url, "0003", down=True)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT strategy, phase FROM releases")).one() == ("canary", "rolled_back")
    to(database_url, "head")
    engine.dispose()


def test_segments_and_mirrors_come_back_from_the_store_as_they_were(any_context) -> None:
    from productops.domain.strategies import Mirror, Segment
    from tests.support import PRODUCTION

    segments, mirror = (Segment("cookie", "plan", ("gold", "silver"), 30), Segment("region", "", ("eu",))), Mirror(2.5, ("GET",), 9, 0.5)
    with any_context.store.write() as unit:
        traffic: Traffic = unit.traffic
        fence = traffic.take("shop", PRODUCTION, ID)
        traffic.shift(
            "shop", PRODUCTION, fence=fence, candidate_version="2", candidate_pct=0, header_only=False, holder="h", ttl_s=5,
            now=any_context.clock.now(), segments=segments, mirror=mirror,
        )  # fmt: skip
    with any_context.store.write() as unit:
        found = unit.traffic.get("shop", PRODUCTION)
        assert (found.segments, found.mirror, found.exposed) == (segments, mirror, True)
        unit.traffic.give_back("shop", PRODUCTION, release_id=ID)
        after = unit.traffic.get("shop", PRODUCTION)
        assert (after.segments, after.mirror, after.exposed) == ((), None, False)
