"""sessions of people's browsers, one-time links, and who started which flow run."""

revision = "0008_1"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them."""


def downgrade() -> None:
    """Take them away."""
