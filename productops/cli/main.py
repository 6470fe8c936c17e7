"""The program ``productops``: its commands, and how errors are told to people."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Annotated

import typer

from productops.cli import access as access_commands
from productops.cli import analysis as analysis_commands
from productops.cli import analytics_events as analytics_events_commands
from productops.cli import analytics_experiments as experiment_commands
from productops.cli import analytics_insights as insight_commands
from productops.cli import analytics_reports as analytics_report_commands
from productops.cli import analytics_usage as usage_commands
from productops.cli import approvals as approval_commands
from productops.cli import audit as audit_commands
from productops.cli import bundle as bundle_commands
from productops.cli import catalog as catalog_commands
from productops.cli import compliance as compliance_commands
from productops.cli import connections as connection_commands
from productops.cli import development_dora as dora_commands
from productops.cli import development_plan as development_plan_commands
from productops.cli import development_progress as development_progress_commands
from productops.cli import development_risk as risk_commands
from productops.cli import development_sync as development_commands
from productops.cli import drill as drill_commands
from productops.cli import flags as flag_commands
from productops.cli import incident as incident_commands
from productops.cli import incident_alerts as alert_commands
from productops.cli import incident_oncall as oncall_commands
from productops.cli import incident_playbooks as playbook_commands
from productops.cli import incident_postmortem as postmortem_commands
from productops.cli import incident_status as status_page_commands
from productops.cli import login as login_commands
from productops.cli import monitoring_detect as detect_commands
from productops.cli import monitoring_logs as log_commands
from productops.cli import monitoring_series as metric_commands
from productops.cli import monitoring_slo as slo_commands
from productops.cli import quality as quality_commands
from productops.cli import quality_learning as quality_learning_commands
from productops.cli import release as release_commands
from productops.cli import router as router_commands
from productops.cli import security as security_commands
from productops.cli import train as train_commands
from productops.cli import webhooks as webhook_commands
from productops.cli import windows as windows_commands
from productops.cli.stack import commands as stack_commands
from productops.errors import ProductOpsError

UNEXPECTED_EXIT = 70

# Plain help: the decorated kind imports 0.2 s of libraries before it says anything.
app = typer.Typer(
    name="productops",
    help="Releases, quality, analytics and incidents of software products.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
COMMANDS = (
    stack_commands,
    release_commands,
    catalog_commands,
    analysis_commands,
    flag_commands,
    windows_commands,
    train_commands,
    router_commands,
    connection_commands,
    approval_commands,
    audit_commands,
    bundle_commands,
    webhook_commands,
    access_commands,
    compliance_commands,
    incident_commands,
    alert_commands,
    playbook_commands,
    drill_commands,
    oncall_commands,
    status_page_commands,
    postmortem_commands,
    login_commands,
    quality_commands,
    quality_learning_commands,
    development_commands,
    development_plan_commands,
    development_progress_commands,
    dora_commands,
    risk_commands,
    analytics_events_commands,
    experiment_commands,
    usage_commands,
    insight_commands,
    analytics_report_commands,
    log_commands,
    slo_commands,
    metric_commands,
    detect_commands,
    security_commands,
)
for commands in COMMANDS:
    commands.register(app)


@app.callback()
def common(
    token_file: Annotated[
        Path | None, typer.Option("--token-file", help="File with the token to present to the API. [env: PRODUCTOPS_TOKEN_FILE]")
    ] = None,
) -> None:
    """Releases, quality, analytics and incidents of software products."""
    if token_file is not None:
        os.environ["PRODUCTOPS_TOKEN_FILE"] = str(token_file)


def main() -> None:
    """Entry point. Exit codes: 0 done; those of productops.errors; 70 for what nobody foresaw, with a file to report."""
    try:
        app()
    except ProductOpsError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)
    except Exception as error:  # noqa: BLE001 - the boundary of the program: a person reads this, not a trace
        sys.stderr.write(f"error: unexpected {type(error).__name__}: {error}\n       details for a report: {_keep_trace()}\n")
        sys.exit(UNEXPECTED_EXIT)


def _keep_trace() -> str:
    """Write the trace where only this user reads it; returns where."""
    descriptor, name = tempfile.mkstemp(prefix="productops-", suffix=".log", dir=_log_folder())
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        traceback.print_exc(file=file)
    return name


def _log_folder() -> str | None:
    """The log folder of the home in use; the system's temporary folder (``None``) when there is none."""
    home = os.environ.get("PRODUCTOPS_HOME")
    logs = Path(home) / "logs" if home else None
    return str(logs) if logs is not None and os.access(logs, os.W_OK) else None


if __name__ == "__main__":
    main()
