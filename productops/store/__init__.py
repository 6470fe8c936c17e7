"""SQLAlchemy tables and repositories; the only SQL."""

from productops.store.unit import Store, Unit

__all__ = ["Store", "Unit"]
