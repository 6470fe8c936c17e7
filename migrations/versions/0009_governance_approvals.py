"""approvals: policies, requests, signatures, overrides, change records."""

revision = "0009"
down_revision = "0008_1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them."""


def downgrade() -> None:
    """Take them away."""
