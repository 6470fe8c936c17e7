"""Chat, telephone, push: how a flow of one's own reaches people."""

from __future__ import annotations

from prefect.blocks.core import Block
from pydantic import Field, SecretStr

from productops.adapters.notify_apprise import AppriseNotifier


class NotifyChannel(Block):
    """An apprise address. Channels of the catalog name a secret instead; this is for flows of one's own."""

    _block_type_name = "ProductOps Channel"
    _block_type_slug = "productops-channel"
    _description = "A way to reach people: Slack, Teams, ntfy, mail and others, by apprise."

    address: SecretStr = Field(description="apprise address: slack://…, ntfys://…, mailtos://…")
    timeout_s: float = Field(default=10.0, ge=1, le=60, description="So long one attempt may take.")

    def send(self, subject: str, text: str) -> None:
        """One attempt. Raises: DependencyError."""
        AppriseNotifier().notify(self.address.get_secret_value(), subject, text, timeout_s=self.timeout_s)
