"""Runs migrations inside the store's own engine settings, so that both databases see the same transactions."""

from alembic import context

from productops.store.database import make_engine
from productops.store.tables import Base

url = context.config.get_main_option("sqlalchemy.url")
if url is None:
    raise SystemExit("no database URL given; use productops up, or productops.store.migrate.upgrade(url)")
engine = make_engine(url)
try:
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True, compare_type=True)
        with context.begin_transaction():
            context.run_migrations()
finally:
    engine.dispose()
