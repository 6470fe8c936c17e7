"""development: features, the work behind them, and where it was read."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")


def upgrade() -> None:
    """Make it."""
    op.create_table(
        "development_builds",
        sa.Column("repository", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("sha", sa.String(length=64), nullable=False),
        sa.Column("branch", sa.String(length=255), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("started_at", TIME, nullable=True),
        sa.Column("finished_at", TIME, nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("source", sa.String(length=63), nullable=False),
        sa.Column("external_id", sa.String(length=255), nullable=False),
        sa.Column("scope", sa.String(length=200), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("changed_at", TIME, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.Column("deleted_at", TIME, nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_development_builds")),
        sa.UniqueConstraint("source", "external_id", name="uq_development_builds_source_external_id"),
    )
    op.create_index("ix_development_builds_source_scope_seen_at", "development_builds", ["source", "scope", "seen_at"], unique=False)
    op.create_index("ix_development_builds_venture_changed_at", "development_builds", ["venture", "changed_at"], unique=False)
    op.create_index("ix_development_builds_venture_id", "development_builds", ["venture", "id"], unique=False)
    op.create_index("ix_development_builds_venture_sha", "development_builds", ["venture", "sha"], unique=False)
    op.create_table(
        "development_changes",
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("repository", sa.String(length=255), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("author", sa.String(length=255), nullable=True),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("draft", sa.Boolean(), nullable=False),
        sa.Column("labels", JSON, nullable=False),
        sa.Column("opened_at", TIME, nullable=True),
        sa.Column("merged_at", TIME, nullable=True),
        sa.Column("closed_at", TIME, nullable=True),
        sa.Column("works_on", JSON, nullable=False),
        sa.Column("base", sa.String(length=255), nullable=True),
        sa.Column("head", sa.String(length=255), nullable=True),
        sa.Column("head_sha", sa.String(length=64), nullable=True),
        sa.Column("merge_sha", sa.String(length=64), nullable=True),
        sa.Column("additions", sa.Integer(), nullable=True),
        sa.Column("deletions", sa.Integer(), nullable=True),
        sa.Column("file_count", sa.Integer(), nullable=True),
        sa.Column("files", JSON, nullable=False),
        sa.Column("services", JSON, nullable=False),
        sa.Column("commit_count", sa.Integer(), nullable=True),
        sa.Column("review_count", sa.Integer(), nullable=True),
        sa.Column("review_comments", sa.Integer(), nullable=True),
        sa.Column("first_review_at", TIME, nullable=True),
        sa.Column("details_at", TIME, nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("source", sa.String(length=63), nullable=False),
        sa.Column("external_id", sa.String(length=255), nullable=False),
        sa.Column("scope", sa.String(length=200), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("changed_at", TIME, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.Column("deleted_at", TIME, nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_development_changes")),
        sa.UniqueConstraint("source", "external_id", name="uq_development_changes_source_external_id"),
    )
    op.create_index("ix_development_changes_source_scope_seen_at", "development_changes", ["source", "scope", "seen_at"], unique=False)
    op.create_index("ix_development_changes_venture_changed_at", "development_changes", ["venture", "changed_at"], unique=False)
    op.create_index("ix_development_changes_venture_id", "development_changes", ["venture", "id"], unique=False)
    op.create_index("ix_development_changes_venture_merge_sha", "development_changes", ["venture", "merge_sha"], unique=False)
    op.create_index("ix_development_changes_venture_merged_at", "development_changes", ["venture", "merged_at"], unique=False)
    op.create_table(
        "development_commits",
        sa.Column("sha", sa.String(length=64), nullable=False),
        sa.Column("repository", sa.String(length=255), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("author", sa.String(length=255), nullable=True),
        sa.Column("author_name", sa.String(length=255), nullable=False),
        sa.Column("authored_at", TIME, nullable=True),
        sa.Column("committed_at", TIME, nullable=True),
        sa.Column("parents", JSON, nullable=False),
        sa.Column("files", JSON, nullable=False),
        sa.Column("additions", sa.Integer(), nullable=True),
        sa.Column("deletions", sa.Integer(), nullable=True),
        sa.Column("change", sa.String(length=255), nullable=True),
        sa.Column("works_on", JSON, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("source", sa.String(length=63), nullable=False),
        sa.Column("external_id", sa.String(length=255), nullable=False),
        sa.Column("scope", sa.String(length=200), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("changed_at", TIME, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.Column("deleted_at", TIME, nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_development_commits")),
        sa.UniqueConstraint("source", "external_id", name="uq_development_commits_source_external_id"),
    )
    op.create_index("ix_development_commits_source_scope_seen_at", "development_commits", ["source", "scope", "seen_at"], unique=False)
    op.create_index("ix_development_commits_venture_changed_at", "development_commits", ["venture", "changed_at"], unique=False)
    op.create_index("ix_development_commits_venture_id", "development_commits", ["venture", "id"], unique=False)
    op.create_index("ix_development_commits_venture_sha", "development_commits", ["venture", "sha"], unique=False)
    op.create_table(
        "development_deployments",
        sa.Column("repository", sa.String(length=255), nullable=False),
        sa.Column("sha", sa.String(length=64), nullable=False),
        sa.Column("environment", sa.String(length=255), nullable=False),
        sa.Column("production", sa.Boolean(), nullable=False),
        sa.Column("ref", sa.String(length=255), nullable=False),
        sa.Column("service", sa.String(length=63), nullable=True),
        sa.Column("status", sa.String(length=20), nullable=True),
        sa.Column("started_at", TIME, nullable=True),
        sa.Column("finished_at", TIME, nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("source", sa.String(length=63), nullable=False),
        sa.Column("external_id", sa.String(length=255), nullable=False),
        sa.Column("scope", sa.String(length=200), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("changed_at", TIME, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.Column("deleted_at", TIME, nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_development_deployments")),
        sa.UniqueConstraint("source", "external_id", name="uq_development_deployments_source_external_id"),
    )
    op.create_index("ix_development_deployments_source_scope_seen_at", "development_deployments", ["source", "scope", "seen_at"], unique=False)
    op.create_index("ix_development_deployments_venture_changed_at", "development_deployments", ["venture", "changed_at"], unique=False)
    op.create_index("ix_development_deployments_venture_id", "development_deployments", ["venture", "id"], unique=False)
    op.create_index("ix_development_deployments_venture_sha", "development_deployments", ["venture", "sha"], unique=False)
    op.create_table(
        "development_features",
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=100), nullable=False),
        sa.Column("stage", sa.String(length=10), nullable=False),
        sa.Column("priority", sa.String(length=60), nullable=False),
        sa.Column("labels", JSON, nullable=False),
        sa.Column("created_at", TIME, nullable=True),
        sa.Column("due_at", TIME, nullable=True),
        sa.Column("done_at", TIME, nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("source", sa.String(length=63), nullable=False),
        sa.Column("external_id", sa.String(length=255), nullable=False),
        sa.Column("scope", sa.String(length=200), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("changed_at", TIME, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.Column("deleted_at", TIME, nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_development_features")),
        sa.UniqueConstraint("source", "external_id", name="uq_development_features_source_external_id"),
    )
    op.create_index("ix_development_features_source_scope_seen_at", "development_features", ["source", "scope", "seen_at"], unique=False)
    op.create_index("ix_development_features_venture_changed_at", "development_features", ["venture", "changed_at"], unique=False)
    op.create_index("ix_development_features_venture_id", "development_features", ["venture", "id"], unique=False)
    op.create_table(
        "development_keys",
        sa.Column("source", sa.String(length=63), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("external_id", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("source", "key", name=op.f("pk_development_keys")),
    )
    op.create_index("ix_development_keys_venture_key", "development_keys", ["venture", "key"], unique=False)
    op.create_table(
        "development_links",
        sa.Column("item", sa.String(length=255), nullable=False),
        sa.Column("to", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("source", sa.String(length=63), nullable=False),
        sa.Column("external_id", sa.String(length=255), nullable=False),
        sa.Column("scope", sa.String(length=200), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("changed_at", TIME, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.Column("deleted_at", TIME, nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_development_links")),
        sa.UniqueConstraint("source", "external_id", name="uq_development_links_source_external_id"),
    )
    op.create_index("ix_development_links_source_item", "development_links", ["source", "item"], unique=False)
    op.create_index("ix_development_links_source_scope_seen_at", "development_links", ["source", "scope", "seen_at"], unique=False)
    op.create_index("ix_development_links_venture_changed_at", "development_links", ["venture", "changed_at"], unique=False)
    op.create_index("ix_development_links_venture_id", "development_links", ["venture", "id"], unique=False)
    op.create_table(
        "development_people",
        sa.Column("login", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("person", sa.String(length=320), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("source", sa.String(length=63), nullable=False),
        sa.Column("external_id", sa.String(length=255), nullable=False),
        sa.Column("scope", sa.String(length=200), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("changed_at", TIME, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.Column("deleted_at", TIME, nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_development_people")),
        sa.UniqueConstraint("source", "external_id", name="uq_development_people_source_external_id"),
    )
    op.create_index("ix_development_people_source_scope_seen_at", "development_people", ["source", "scope", "seen_at"], unique=False)
    op.create_index("ix_development_people_venture_changed_at", "development_people", ["venture", "changed_at"], unique=False)
    op.create_index("ix_development_people_venture_id", "development_people", ["venture", "id"], unique=False)
    op.create_index("ix_development_people_venture_person", "development_people", ["venture", "person"], unique=False)
    op.create_table(
        "development_reviews",
        sa.Column("change", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=30), nullable=False),
        sa.Column("reviewer", sa.String(length=255), nullable=True),
        sa.Column("submitted_at", TIME, nullable=True),
        sa.Column("comments", sa.Integer(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("source", sa.String(length=63), nullable=False),
        sa.Column("external_id", sa.String(length=255), nullable=False),
        sa.Column("scope", sa.String(length=200), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("changed_at", TIME, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.Column("deleted_at", TIME, nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_development_reviews")),
        sa.UniqueConstraint("source", "external_id", name="uq_development_reviews_source_external_id"),
    )
    op.create_index("ix_development_reviews_source_change", "development_reviews", ["source", "change"], unique=False)
    op.create_index("ix_development_reviews_source_scope_seen_at", "development_reviews", ["source", "scope", "seen_at"], unique=False)
    op.create_index("ix_development_reviews_venture_changed_at", "development_reviews", ["venture", "changed_at"], unique=False)
    op.create_index("ix_development_reviews_venture_id", "development_reviews", ["venture", "id"], unique=False)
    op.create_table(
        "development_sources",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("spec", JSON, nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("claimed_by", sa.String(length=255), nullable=True),
        sa.Column("claimed_until", TIME, nullable=True),
        sa.Column("run_started_at", TIME, nullable=True),
        sa.Column("run_ended_at", TIME, nullable=True),
        sa.Column("succeeded_at", TIME, nullable=True),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("paused_until", TIME, nullable=True),
        sa.Column("rate_left", sa.Integer(), nullable=True),
        sa.Column("full_wanted", sa.Boolean(), nullable=False),
        sa.Column("deletions_accepted", sa.Boolean(), nullable=False),
        sa.Column("wanted_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_development_sources")),
    )
    op.create_table(
        "development_sprints",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("goal", sa.Text(), nullable=False),
        sa.Column("starts_at", TIME, nullable=True),
        sa.Column("ends_at", TIME, nullable=True),
        sa.Column("completed_at", TIME, nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("source", sa.String(length=63), nullable=False),
        sa.Column("external_id", sa.String(length=255), nullable=False),
        sa.Column("scope", sa.String(length=200), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("changed_at", TIME, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.Column("deleted_at", TIME, nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_development_sprints")),
        sa.UniqueConstraint("source", "external_id", name="uq_development_sprints_source_external_id"),
    )
    op.create_index("ix_development_sprints_source_scope_seen_at", "development_sprints", ["source", "scope", "seen_at"], unique=False)
    op.create_index("ix_development_sprints_venture_changed_at", "development_sprints", ["venture", "changed_at"], unique=False)
    op.create_index("ix_development_sprints_venture_id", "development_sprints", ["venture", "id"], unique=False)
    op.create_table(
        "development_work_item_moves",
        sa.Column("item", sa.String(length=255), nullable=False),
        sa.Column("field", sa.String(length=20), nullable=False),
        sa.Column("old", sa.String(length=255), nullable=False),
        sa.Column("new", sa.String(length=255), nullable=False),
        sa.Column("by", sa.String(length=255), nullable=True),
        sa.Column("observed", sa.Boolean(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("source", sa.String(length=63), nullable=False),
        sa.Column("external_id", sa.String(length=255), nullable=False),
        sa.Column("scope", sa.String(length=200), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("changed_at", TIME, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.Column("deleted_at", TIME, nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_development_work_item_moves")),
        sa.UniqueConstraint("source", "external_id", name="uq_development_work_item_moves_source_external_id"),
    )
    op.create_index("ix_development_work_item_moves_source_item", "development_work_item_moves", ["source", "item", "changed_at"], unique=False)
    op.create_index("ix_development_work_item_moves_source_scope_seen_at", "development_work_item_moves", ["source", "scope", "seen_at"], unique=False)
    op.create_index("ix_development_work_item_moves_venture_changed_at", "development_work_item_moves", ["venture", "changed_at"], unique=False)
    op.create_index("ix_development_work_item_moves_venture_id", "development_work_item_moves", ["venture", "id"], unique=False)
    op.create_table(
        "development_work_items",
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("type", sa.String(length=100), nullable=False),
        sa.Column("status", sa.String(length=100), nullable=False),
        sa.Column("stage", sa.String(length=10), nullable=False),
        sa.Column("estimate_low_h", sa.Float(), nullable=True),
        sa.Column("estimate_h", sa.Float(), nullable=True),
        sa.Column("estimate_high_h", sa.Float(), nullable=True),
        sa.Column("points", sa.Float(), nullable=True),
        sa.Column("remaining_h", sa.Float(), nullable=True),
        sa.Column("assignee", sa.String(length=255), nullable=True),
        sa.Column("skill", sa.String(length=63), nullable=False),
        sa.Column("priority", sa.String(length=60), nullable=False),
        sa.Column("parent", sa.String(length=255), nullable=True),
        sa.Column("feature", sa.String(length=255), nullable=True),
        sa.Column("sprint", sa.String(length=255), nullable=True),
        sa.Column("labels", JSON, nullable=False),
        sa.Column("services", JSON, nullable=False),
        sa.Column("created_at", TIME, nullable=True),
        sa.Column("started_at", TIME, nullable=True),
        sa.Column("done_at", TIME, nullable=True),
        sa.Column("due_at", TIME, nullable=True),
        sa.Column("blocked_since", TIME, nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("source", sa.String(length=63), nullable=False),
        sa.Column("external_id", sa.String(length=255), nullable=False),
        sa.Column("scope", sa.String(length=200), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("changed_at", TIME, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.Column("deleted_at", TIME, nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_development_work_items")),
        sa.UniqueConstraint("source", "external_id", name="uq_development_work_items_source_external_id"),
    )
    op.create_index("ix_development_work_items_source_feature", "development_work_items", ["source", "feature"], unique=False)
    op.create_index("ix_development_work_items_source_scope_seen_at", "development_work_items", ["source", "scope", "seen_at"], unique=False)
    op.create_index("ix_development_work_items_venture_changed_at", "development_work_items", ["venture", "changed_at"], unique=False)
    op.create_index("ix_development_work_items_venture_id", "development_work_items", ["venture", "id"], unique=False)
    op.create_index("ix_development_work_items_venture_stage", "development_work_items", ["venture", "stage"], unique=False)
    op.create_table(
        "development_streams",
        sa.Column("source", sa.String(length=63), nullable=False),
        sa.Column("stream", sa.String(length=200), nullable=False),
        sa.Column("cursor", JSON, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("filled", sa.Boolean(), nullable=False),
        sa.Column("comb", JSON, nullable=False),
        sa.Column("combing_since", TIME, nullable=True),
        sa.Column("combed_at", TIME, nullable=True),
        sa.Column("items", sa.Integer(), nullable=False),
        sa.Column("read_at", TIME, nullable=True),
        sa.Column("reached_at", TIME, nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["source"], ["development_sources.name"], name=op.f("fk_development_streams_source"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("source", "stream", name=op.f("pk_development_streams")),
    )


def downgrade() -> None:
    """Take it back."""
    op.drop_table("development_streams")
    op.drop_table("development_work_items")
    op.drop_table("development_work_item_moves")
    op.drop_table("development_sprints")
    op.drop_table("development_sources")
    op.drop_table("development_reviews")
    op.drop_table("development_people")
    op.drop_table("development_links")
    op.drop_table("development_keys")
    op.drop_table("development_features")
    op.drop_table("development_deployments")
    op.drop_table("development_commits")
    op.drop_table("development_changes")
    op.drop_table("development_builds")
