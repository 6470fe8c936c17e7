"""first tables."""

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "agents",
        sa.Column("router", sa.String(length=63), nullable=False),
        sa.Column("holder", sa.String(length=120), nullable=False),
        sa.Column("beat", sa.BigInteger(), nullable=False),
        sa.Column("beat_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("router", name=op.f("pk_agents")),
    )
    op.create_table(
        "audit_entries",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("origin", sa.String(length=40), nullable=False),
        sa.Column("action", sa.String(length=60), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=False),
        sa.Column("previous_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit_entries")),
        sa.UniqueConstraint("hash", name=op.f("uq_audit_entries_hash")),
    )
    op.create_table(
        "catalog_revisions",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("spec", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=False),
        sa.Column("author", sa.String(length=255), nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalog_revisions")),
        sa.UniqueConstraint("kind", "name", "revision", name=op.f("uq_catalog_revisions_kind_name_revision")),
    )
    op.create_table(
        "fleets",
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("environment", sa.String(length=20), nullable=False),
        sa.Column("version", sa.String(length=100), nullable=False),
        sa.Column("desired", sa.Integer(), nullable=False),
        sa.Column("keep_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failure", sa.Text(), nullable=False),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("service", "environment", "version", name=op.f("pk_fleets")),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("release_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_idempotency_keys")),
    )
    op.create_table(
        "instances",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("environment", sa.String(length=20), nullable=False),
        sa.Column("version", sa.String(length=100), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=True),
        sa.Column("started", sa.Double(), nullable=True),
        sa.Column("restarts", sa.Integer(), nullable=False),
        sa.Column("log_path", sa.Text(), nullable=False),
        sa.Column("last_output", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state IN ('starting', 'healthy', 'unhealthy', 'draining', 'crashed', 'stopped')", name=op.f("ck_instances_state")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instances")),
    )
    with op.batch_alter_table("instances", schema=None) as batch_op:
        batch_op.create_index("ix_instances_service_environment_version", ["service", "environment", "version"], unique=False)

    op.create_table(
        "quarantines",
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("environment", sa.String(length=20), nullable=False),
        sa.Column("version", sa.String(length=100), nullable=False),
        sa.Column("release_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("service", "environment", "version", name=op.f("pk_quarantines")),
    )
    op.create_table(
        "releases",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("environment", sa.String(length=20), nullable=False),
        sa.Column("version", sa.String(length=100), nullable=False),
        sa.Column("baseline_version", sa.String(length=100), nullable=True),
        sa.Column("strategy", sa.String(length=20), nullable=False),
        sa.Column("phase", sa.String(length=20), nullable=False),
        sa.Column("steps", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=False),
        sa.Column("plan", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=False),
        sa.Column("requested_by", sa.String(length=255), nullable=False),
        sa.Column("origin", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("cause", sa.String(length=20), nullable=True),
        sa.Column("step_index", sa.Integer(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("flow_run_id", sa.String(length=64), nullable=True),
        sa.Column("active_key", sa.String(length=100), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("environment IN ('development', 'staging', 'production')", name=op.f("ck_releases_environment")),
        sa.CheckConstraint(
            "phase IN ('requested', 'deploying', 'rolling_out', 'paused', 'promoting', 'validating', 'promoted', 'rolling_back', 'rolled_back', 'failed')",
            name=op.f("ck_releases_phase"),
        ),
        sa.CheckConstraint("strategy IN ('canary', 'blue-green')", name=op.f("ck_releases_strategy")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_releases")),
        sa.UniqueConstraint("active_key", name=op.f("uq_releases_active_key")),
    )
    with op.batch_alter_table("releases", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_releases_flow_run_id"), ["flow_run_id"], unique=False)
        batch_op.create_index("ix_releases_service_environment_created_at", ["service", "environment", "created_at"], unique=False)

    op.create_table(
        "run_claims",
        sa.Column("flow_run_id", sa.String(length=64), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(length=120), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=True),
        sa.Column("created", sa.Double(), nullable=True),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("flow_run_id", "attempt", name=op.f("pk_run_claims")),
    )
    with op.batch_alter_table("run_claims", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_run_claims_closed_at"), ["closed_at"], unique=False)

    op.create_table(
        "traffic_seconds",
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("environment", sa.String(length=20), nullable=False),
        sa.Column("version", sa.String(length=100), nullable=False),
        sa.Column("at_s", sa.BigInteger(), nullable=False),
        sa.Column("requests", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("upper_ms", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=False),
        sa.Column("counts", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=False),
        sa.Column("missed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("service", "environment", "version", "at_s", name=op.f("pk_traffic_seconds")),
    )
    with op.batch_alter_table("traffic_seconds", schema=None) as batch_op:
        batch_op.create_index("ix_traffic_seconds_at_s", ["at_s"], unique=False)

    op.create_table(
        "traffic_targets",
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("environment", sa.String(length=20), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("applied_generation", sa.BigInteger(), nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("baseline_version", sa.String(length=100), nullable=True),
        sa.Column("candidate_version", sa.String(length=100), nullable=True),
        sa.Column("candidate_pct", sa.Integer(), nullable=False),
        sa.Column("header_only", sa.Boolean(), nullable=False),
        sa.Column("release_id", sa.Uuid(), nullable=True),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("lease_holder", sa.String(length=120), nullable=True),
        sa.Column("lease_ttl_s", sa.Double(), nullable=True),
        sa.Column("lease_deadline", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_beat", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("environment IN ('development', 'staging', 'production')", name=op.f("ck_traffic_targets_environment")),
        sa.CheckConstraint("candidate_pct BETWEEN 0 AND 100", name=op.f("ck_traffic_targets_candidate_pct")),
        sa.CheckConstraint("candidate_version IS NOT NULL OR (candidate_pct = 0)", name=op.f("ck_traffic_targets_candidate_named")),
        sa.PrimaryKeyConstraint("service", "environment", name=op.f("pk_traffic_targets")),
    )
    op.create_table(
        "ventures",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("title", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ventures")),
        sa.UniqueConstraint("name", name=op.f("uq_ventures_name")),
    )
    op.create_table(
        "analyses",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("release_id", sa.Uuid(), nullable=False),
        sa.Column("step_index", sa.Integer(), nullable=False),
        sa.Column("at_s", sa.BigInteger(), nullable=False),
        sa.Column("verdict", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("log_e", sa.Double(), nullable=False),
        sa.Column("log_e_safe", sa.Double(), nullable=False),
        sa.Column("evidence", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["release_id"], ["releases.id"], name=op.f("fk_analyses_release_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_analyses")),
    )
    with op.batch_alter_table("analyses", schema=None) as batch_op:
        batch_op.create_index("ix_analyses_release_id_at_s", ["release_id", "at_s"], unique=True)

    op.create_table(
        "deployment_ops_events",
        sa.Column("ops_id", sa.Uuid(), nullable=False),
        sa.Column("venture_id", sa.Uuid(), nullable=False),
        sa.Column("deployment_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.String(length=100), nullable=False),
        sa.Column("environment", sa.String(length=20), nullable=False),
        sa.Column("pipeline_status", sa.String(length=20), nullable=False),
        sa.Column("deployment_type", sa.String(length=20), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("duration", sa.Interval(), nullable=True),
        sa.Column("success_metrics", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=True),
        sa.Column("failure_details", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=True),
        sa.Column("rollback_details", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=True),
        sa.Column("performance_impact", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=True),
        sa.Column("chairman_approval", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "deployment_type IN ('canary', 'blue_green', 'rolling', 'feature_toggle', 'dark_launch')",
            name=op.f("ck_deployment_ops_events_deployment_type"),
        ),
        sa.CheckConstraint("environment IN ('development', 'staging', 'production')", name=op.f("ck_deployment_ops_events_environment")),
        sa.CheckConstraint(
            "pipeline_status IN ('pending', 'running', 'succeeded', 'failed', 'rolled_back')",
            name=op.f("ck_deployment_ops_events_pipeline_status"),
        ),
        sa.ForeignKeyConstraint(["venture_id"], ["ventures.id"], name=op.f("fk_deployment_ops_events_venture_id")),
        sa.PrimaryKeyConstraint("ops_id", name=op.f("pk_deployment_ops_events")),
        sa.UniqueConstraint("deployment_id", name=op.f("uq_deployment_ops_events_deployment_id")),
    )
    op.create_table(
        "incident_management",
        sa.Column("incident_id", sa.Uuid(), nullable=False),
        sa.Column("venture_id", sa.Uuid(), nullable=True),
        sa.Column("incident_type", sa.String(length=20), nullable=False),
        sa.Column("severity", sa.String(length=4), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("title", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("affected_services", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=True),
        sa.Column("detection_method", sa.String(length=20), nullable=True),
        sa.Column("root_cause", sa.Text(), nullable=True),
        sa.Column("resolution_steps", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=True),
        sa.Column("impact_assessment", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=True),
        sa.Column("mttr_minutes", sa.Integer(), nullable=True),
        sa.Column("chairman_escalation", sa.Boolean(), nullable=False),
        sa.Column("detected_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("postmortem_completed", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "detection_method IN ('lease', 'verdict', 'slo', 'anomaly', 'alert', 'heartbeat', 'person')",
            name=op.f("ck_incident_management_detection_method"),
        ),
        sa.CheckConstraint(
            "incident_type IN ('deployment', 'performance', 'availability', 'security', 'data', 'quality')",
            name=op.f("ck_incident_management_incident_type"),
        ),
        sa.CheckConstraint("severity IN ('SEV1', 'SEV2', 'SEV3', 'SEV4')", name=op.f("ck_incident_management_severity")),
        sa.CheckConstraint(
            "status IN ('open', 'investigating', 'mitigated', 'resolved', 'closed')", name=op.f("ck_incident_management_status")
        ),
        sa.ForeignKeyConstraint(["venture_id"], ["ventures.id"], name=op.f("fk_incident_management_venture_id")),
        sa.PrimaryKeyConstraint("incident_id", name=op.f("pk_incident_management")),
    )
    op.create_table(
        "infrastructure_metrics",
        sa.Column("metric_id", sa.Uuid(), nullable=False),
        sa.Column("venture_id", sa.Uuid(), nullable=True),
        sa.Column("infrastructure_component", sa.String(length=255), nullable=False),
        sa.Column("metric_category", sa.String(length=20), nullable=False),
        sa.Column("metric_name", sa.String(length=255), nullable=False),
        sa.Column("metric_value", sa.Numeric(precision=15, scale=4), nullable=True),
        sa.Column("threshold_warning", sa.Numeric(precision=15, scale=4), nullable=True),
        sa.Column("threshold_critical", sa.Numeric(precision=15, scale=4), nullable=True),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("tags", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "metric_category IN ('infrastructure', 'application', 'business')", name=op.f("ck_infrastructure_metrics_metric_category")
        ),
        sa.CheckConstraint("status IN ('normal', 'warning', 'critical', 'unknown')", name=op.f("ck_infrastructure_metrics_status")),
        sa.ForeignKeyConstraint(["venture_id"], ["ventures.id"], name=op.f("fk_infrastructure_metrics_venture_id")),
        sa.PrimaryKeyConstraint("metric_id", name=op.f("pk_infrastructure_metrics")),
    )
    with op.batch_alter_table("infrastructure_metrics", schema=None) as batch_op:
        batch_op.create_index("ix_infrastructure_metrics_series", ["infrastructure_component", "metric_name", "recorded_at"], unique=False)

    op.create_table(
        "release_events",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("release_id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("payload", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=False),
        sa.ForeignKeyConstraint(["release_id"], ["releases.id"], name=op.f("fk_release_events_release_id")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_release_events")),
    )
    with op.batch_alter_table("release_events", schema=None) as batch_op:
        batch_op.create_index("ix_release_events_release_id_seq", ["release_id", "seq"], unique=False)

    op.create_table(
        "release_steps",
        sa.Column("release_id", sa.Uuid(), nullable=False),
        sa.Column("step_index", sa.Integer(), nullable=False),
        sa.Column("weight_pct", sa.Integer(), nullable=False),
        sa.Column("hold_s", sa.Double(), nullable=False),
        sa.Column("header_only", sa.Boolean(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("verdict", sa.String(length=20), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("summary", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=False),
        sa.ForeignKeyConstraint(["release_id"], ["releases.id"], name=op.f("fk_release_steps_release_id")),
        sa.PrimaryKeyConstraint("release_id", "step_index", name=op.f("pk_release_steps")),
    )
    op.create_table(
        "release_transitions",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("release_id", sa.Uuid(), nullable=False),
        sa.Column("source", sa.String(length=20), nullable=True),
        sa.Column("target", sa.String(length=20), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("evidence", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["release_id"], ["releases.id"], name=op.f("fk_release_transitions_release_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_release_transitions")),
    )
    with op.batch_alter_table("release_transitions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_release_transitions_release_id"), ["release_id"], unique=False)

    op.create_table(
        "scaling_operations",
        sa.Column("scaling_id", sa.Uuid(), nullable=False),
        sa.Column("venture_id", sa.Uuid(), nullable=True),
        sa.Column("scaling_trigger", sa.String(length=20), nullable=False),
        sa.Column("scaling_action", sa.String(length=20), nullable=False),
        sa.Column("resource_type", sa.String(length=20), nullable=False),
        sa.Column("baseline_capacity", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=False),
        sa.Column("target_capacity", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=False),
        sa.Column("actual_capacity", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=True),
        sa.Column("scaling_duration", sa.Interval(), nullable=True),
        sa.Column("cost_impact", sa.Numeric(precision=10, scale=2), nullable=True),
        sa.Column("performance_impact", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=True),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("chairman_approval_required", sa.Boolean(), nullable=False),
        sa.Column("initiated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "resource_type IN ('instance', 'cpu', 'memory', 'storage', 'connection')", name=op.f("ck_scaling_operations_resource_type")
        ),
        sa.CheckConstraint(
            "scaling_action IN ('scale_out', 'scale_in', 'scale_up', 'scale_down')", name=op.f("ck_scaling_operations_scaling_action")
        ),
        sa.CheckConstraint(
            "scaling_trigger IN ('manual', 'schedule', 'prediction', 'metric', 'incident', 'release')",
            name=op.f("ck_scaling_operations_scaling_trigger"),
        ),
        sa.CheckConstraint(
            "status IN ('initiated', 'running', 'completed', 'failed', 'cancelled')", name=op.f("ck_scaling_operations_status")
        ),
        sa.ForeignKeyConstraint(["venture_id"], ["ventures.id"], name=op.f("fk_scaling_operations_venture_id")),
        sa.PrimaryKeyConstraint("scaling_id", name=op.f("pk_scaling_operations")),
    )
    op.create_table(
        "services",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("venture_id", sa.Uuid(), nullable=False),
        sa.Column("spec", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["venture_id"], ["ventures.id"], name=op.f("fk_services_venture_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_services")),
        sa.UniqueConstraint("name", name=op.f("uq_services_name")),
    )


def downgrade() -> None:
    op.drop_table("services")
    op.drop_table("scaling_operations")
    with op.batch_alter_table("release_transitions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_release_transitions_release_id"))

    op.drop_table("release_transitions")
    op.drop_table("release_steps")
    with op.batch_alter_table("release_events", schema=None) as batch_op:
        batch_op.drop_index("ix_release_events_release_id_seq")

    op.drop_table("release_events")
    with op.batch_alter_table("infrastructure_metrics", schema=None) as batch_op:
        batch_op.drop_index("ix_infrastructure_metrics_series")

    op.drop_table("infrastructure_metrics")
    op.drop_table("incident_management")
    op.drop_table("deployment_ops_events")
    with op.batch_alter_table("analyses", schema=None) as batch_op:
        batch_op.drop_index("ix_analyses_release_id_at_s")

    op.drop_table("analyses")
    op.drop_table("ventures")
    op.drop_table("traffic_targets")
    with op.batch_alter_table("traffic_seconds", schema=None) as batch_op:
        batch_op.drop_index("ix_traffic_seconds_at_s")

    op.drop_table("traffic_seconds")
    with op.batch_alter_table("run_claims", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_run_claims_closed_at"))

    op.drop_table("run_claims")
    with op.batch_alter_table("releases", schema=None) as batch_op:
        batch_op.drop_index("ix_releases_service_environment_created_at")
        batch_op.drop_index(batch_op.f("ix_releases_flow_run_id"))

    op.drop_table("releases")
    op.drop_table("quarantines")
    with op.batch_alter_table("instances", schema=None) as batch_op:
        batch_op.drop_index("ix_instances_service_environment_version")

    op.drop_table("instances")
    op.drop_table("idempotency_keys")
    op.drop_table("fleets")
    op.drop_table("catalog_revisions")
    op.drop_table("audit_entries")
    op.drop_table("agents")
