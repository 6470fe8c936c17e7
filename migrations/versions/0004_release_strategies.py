"""all strategies: segments and mirrors in the traffic, trials that end in a report, terms of agents."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
STRATEGIES = ("canary", "blue-green")
PHASES = (
    "requested", "deploying", "rolling_out", "paused", "promoting", "validating", "promoted", "rolling_back", "rolled_back", "failed",
)  # fmt: skip


def one_of(column: str, values: tuple[str, ...]) -> str:
    allowed = ", ".join(f"'{value}'" for value in values)
    return f"{column} IN ({allowed})"


def upgrade() -> None:
    replace_checks(
        {
            "strategy": (STRATEGIES, (*STRATEGIES, "rolling", "feature-toggle", "dark-launch")),
            "phase": (PHASES, (*PHASES[:7], "passed", *PHASES[7:])),
        }
    )
    op.add_column("traffic_targets", sa.Column("segments", JSON, nullable=True))
    op.add_column("traffic_targets", sa.Column("mirror", JSON, nullable=True))
    op.add_column("agents", sa.Column("term", sa.BigInteger(), nullable=False, server_default="1"))


def downgrade() -> None:
    """Releases that the older schema has no word for are told as what comes nearest."""
    op.execute("UPDATE releases SET strategy = 'canary' WHERE strategy NOT IN ('canary', 'blue-green')")
    op.execute("UPDATE releases SET phase = 'rolled_back' WHERE phase = 'passed'")
    replace_checks(
        {
            "strategy": ((*STRATEGIES, "rolling", "feature-toggle", "dark-launch"), STRATEGIES),
            "phase": ((*PHASES[:7], "passed", *PHASES[7:]), PHASES),
        }
    )
    op.drop_column("agents", "term")
    op.drop_column("traffic_targets", "mirror")
    op.drop_column("traffic_targets", "segments")


def replace_checks(checks: dict[str, tuple[tuple[str, ...], tuple[str, ...]]]) -> None:
    """Column of ``releases`` → (values allowed so far, values from now on).

    SQLite changes no constraint in place, and a copy of the table (Alembic's batch mode) would drop the one that other tables' rows
    point at: with foreign keys on, which cannot be turned off within a transaction, that fails. So the stored text of the table is
    changed, as SQLite's documentation of ALTER TABLE describes for constraints.
    """
    if op.get_bind().dialect.name != "sqlite":
        for column, (_, values) in checks.items():
            op.drop_constraint(op.f(f"ck_releases_{column}"), "releases", type_="check")
            op.create_check_constraint(op.f(f"ck_releases_{column}"), "releases", one_of(column, values))
        return
    bind = op.get_bind()
    text = bind.execute(sa.text("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = 'releases'")).scalar_one()
    for column, (before, after) in checks.items():
        if one_of(column, before) not in text:
            raise RuntimeError(f"the table releases does not look as migration 0003 left it: its check of {column} is another")
        text = text.replace(one_of(column, before), one_of(column, after))
    version = bind.execute(sa.text("PRAGMA schema_version")).scalar_one()
    bind.execute(sa.text("PRAGMA writable_schema=ON"))
    bind.execute(sa.text("UPDATE sqlite_schema SET sql = :text WHERE type = 'table' AND name = 'releases'"), {"text": text})
    bind.execute(sa.text(f"PRAGMA schema_version={version + 1}"))  # other connections read the schema anew
    bind.execute(sa.text("PRAGMA writable_schema=RESET"))
