"""development: risk models, attributions of incidents, readiness and success."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")


def upgrade() -> None:
    """Make it."""
    op.create_table(
        "development_answers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("feature_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("checks", JSON, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("by", sa.String(length=255), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.CheckConstraint("kind IN ('readiness', 'success')", name=op.f("ck_development_answers_kind")),
        sa.CheckConstraint("state IN ('passed', 'failed', 'inconclusive')", name=op.f("ck_development_answers_state")),
        sa.ForeignKeyConstraint(["feature_id"], ["development_features.id"], name=op.f("fk_development_answers_feature_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_development_answers")),
    )
    op.create_index("ix_development_answers_feature_id_kind_id", "development_answers", ["feature_id", "kind", "id"], unique=False)
    op.create_index("ix_development_answers_venture_id", "development_answers", ["venture", "id"], unique=False)
    op.create_table(
        "development_attributions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("incident_id", sa.Uuid(), nullable=False),
        sa.Column("deployment", sa.String(length=100), nullable=True),
        sa.Column("confidence", sa.Float(), nullable=False),
        sa.Column("by_person", sa.Boolean(), nullable=False),
        sa.Column("by", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("evidence", JSON, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("replaced_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(["incident_id"], ["incident_management.incident_id"], name=op.f("fk_development_attributions_incident_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_development_attributions")),
    )
    op.create_index("ix_development_attributions_incident_id", "development_attributions", ["incident_id"], unique=False)
    op.create_index("ix_development_attributions_venture_id", "development_attributions", ["venture", "id"], unique=False)
    op.create_table(
        "development_goals",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("spec", JSON, nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_development_goals")),
    )
    op.create_index(op.f("ix_development_goals_venture"), "development_goals", ["venture"], unique=False)
    op.create_table(
        "development_risk_models",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("model", JSON, nullable=False),
        sa.Column("judged", JSON, nullable=False),
        sa.Column("drift", JSON, nullable=False),
        sa.Column("changes", sa.Integer(), nullable=False),
        sa.Column("broke", sa.Integer(), nullable=False),
        sa.Column("by", sa.String(length=255), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("ended_at", TIME, nullable=True),
        sa.Column("current_key", sa.String(length=63), nullable=True),
        sa.CheckConstraint("state IN ('trusted', 'distrusted', 'drifted', 'replaced')", name=op.f("ck_development_risk_models_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_development_risk_models")),
        sa.UniqueConstraint("current_key", name=op.f("uq_development_risk_models_current_key")),
    )
    op.create_index("ix_development_risk_models_venture_id", "development_risk_models", ["venture", "id"], unique=False)
    op.create_table(
        "development_risk_predictions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("subject", sa.String(length=100), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("level", sa.String(length=10), nullable=False),
        sa.Column("probability", sa.Float(), nullable=True),
        sa.Column("model_id", sa.Uuid(), nullable=True),
        sa.Column("method", sa.String(length=20), nullable=False),
        sa.Column("reasons", JSON, nullable=False),
        sa.Column("facts", JSON, nullable=False),
        sa.Column("inputs", sa.String(length=64), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("outcome", sa.String(length=10), nullable=True),
        sa.Column("outcome_at", TIME, nullable=True),
        sa.Column("outcome_reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_development_risk_predictions")),
        sa.UniqueConstraint("subject", "inputs", name="uq_development_risk_predictions_one"),
    )
    op.create_index("ix_development_risk_predictions_venture_id", "development_risk_predictions", ["venture", "id"], unique=False)
    op.create_index("ix_development_risk_predictions_venture_outcome", "development_risk_predictions", ["venture", "outcome"], unique=False)


def downgrade() -> None:
    """Take it back."""
    op.drop_table("development_risk_predictions")
    op.drop_table("development_risk_models")
    op.drop_table("development_goals")
    op.drop_table("development_attributions")
    op.drop_table("development_answers")
