"""Our figures against DevLake's own expected tables. ``PRODUCTOPS_BENCH_DATA`` names a folder with ``change_lead_time`` and
``prev_success_deployment_commit`` of its end-to-end fixtures; they are not part of this project.
"""

from __future__ import annotations

import csv
import math
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.figures import Figure, show, write
from benchmarks.release.stack import BenchError
from productops.domain.development_dora_stages import MergedChange, PipelineRun, Stages, first_delivery, previous_success, stages

DATA = "PRODUCTOPS_BENCH_DATA"
Row = dict[str, str]


def folder() -> Path:
    """Where the fixtures are. Raises: BenchError."""
    named = os.environ.get(DATA)
    if not named or not (Path(named) / "change_lead_time").is_dir():
        raise BenchError(f"name the folder of DevLake's DORA fixtures in {DATA}")
    return Path(named)


def read(path: Path) -> list[Row]:
    """The rows of a table."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def moment(text: str) -> datetime:
    """DevLake writes times with or without a zone, and hours without a leading zero."""
    head, _, tail = text.replace("T", " ").partition(" ")
    year, month, day = (int(part) for part in head.split("-"))
    hour, minute, second = (int(part) for part in tail[:8].rstrip(".+").split(":"))
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC)


def pipeline_runs(rows: list[Row]) -> list[PipelineRun]:
    """Deployments of a table."""
    return [
        PipelineRun(
            row["id"], row["cicd_scope_id"], row["repo_url"], row["environment"], row["result"] == "SUCCESS",
            moment(row["started_date"]), moment(row["finished_date"]), row["commit_sha"],
        )
        for row in rows
    ]  # fmt: skip


def compare_previous(home: Path, project: str = "project1") -> tuple[int, list[str]]:
    """How many rows were compared, and what differs."""
    scopes = {
        row["row_id"] for row in read(home / "project_mapping.csv") if row["project_name"] == project and row["table"] == "cicd_scopes"
    }
    runs = [each for each in pipeline_runs(read(home / "cicd_deployment_commits_before.csv")) if each.scope in scopes]
    found, expected = previous_success(runs), read(home / "cicd_deployment_commits_after.csv")
    differ = [
        f"{row['id']}: {row['prev_success_deployment_commit_id'] or None} expected, {found.get(row['id'])} found"
        for row in expected
        if (row["prev_success_deployment_commit_id"] or None) != found.get(row["id"])
    ]
    return len(expected), differ


def compare_lead_time(home: Path, project: str = "project1") -> tuple[int, list[str]]:
    """Every stage of every change of the project, in whole minutes."""
    deployed = read(home / "cicd_deployment_commits.csv")
    scopes = {
        row["row_id"] for row in read(home / "project_mapping.csv") if row["project_name"] == project and row["table"] == "cicd_scopes"
    }
    runs = [each for each in pipeline_runs(deployed) if each.scope in scopes]
    previous = {row["id"]: row["prev_success_deployment_commit_id"] for row in deployed if row["prev_success_deployment_commit_id"]}
    between: dict[tuple[str, str], set[str]] = {}
    for row in read(home / "commits_diffs.csv"):
        between.setdefault((row["old_commit_sha"], row["new_commit_sha"]), set()).add(row["commit_sha"])
    delivery = first_delivery(runs, previous, between)
    found = {each.id: stages(each, delivery.get(each.merge_commit)) for each in changes(home)}
    differ, expected = [], read(home / "project_pr_metrics.csv")
    for row in expected:
        ours, theirs = as_row(found[row["id"]]), {name: row[name] for name in COLUMNS}
        differ += [f"{row['id']} {name}: {theirs[name]} expected, {ours[name]} found" for name in COLUMNS if ours[name] != theirs[name]]
    return len(expected) * len(COLUMNS), differ


COLUMNS = ("first_commit_sha", "first_review_id", "deployment_commit_id", "pr_coding_time", "pr_pickup_time", "pr_review_time",
           "pr_deploy_time", "pr_cycle_time")  # fmt: skip


def as_row(found: Stages) -> Row:
    """As DevLake writes it: minutes rounded up, nothing for none."""
    texts = (found.first_commit, found.first_review, found.deployment)
    spans = (found.coding, found.pickup, found.review, found.deploy, found.cycle)
    return dict(zip(COLUMNS, [*(text or "" for text in texts), *(minutes(span) for span in spans)], strict=True))


def minutes(span: timedelta | None) -> str:
    """Whole minutes, rounded up."""
    return "" if span is None else str(math.ceil(span / timedelta(minutes=1)))


def changes(home: Path) -> list[MergedChange]:
    """Merged changes with their commits and comments."""
    commits = read(home / "pull_request_commits.csv")
    comments = read(home / "pull_request_comments.csv")
    return [
        MergedChange(
            row["id"], row["author_id"], moment(row["created_date"]), moment(row["merged_date"]), row["merge_commit_sha"],
            tuple((each["commit_sha"], moment(each["commit_authored_date"])) for each in commits if each["pull_request_id"] == row["id"]),
            tuple(
                (each["id"], moment(each["created_date"]), each["account_id"]) for each in comments if each["pull_request_id"] == row["id"]
            ),
        )
        for row in read(home / "pull_requests.csv")
        if row["merged_date"]
    ]  # fmt: skip


def run() -> list[Figure]:
    """Both tables. Raises: BenchError."""
    home = folder()
    figures = []
    for name, compare in (("change_lead_time", compare_lead_time), ("prev_success_deployment_commit", compare_previous)):
        count, differ = compare(home / name)
        figures.append(
            Figure(f"{name}: values that differ", len(differ), f"of {count}", 0, False, "DevLake's snapshots", "; ".join(differ))
        )
    write("dora", "dora", figures, {})
    show("DORA against DevLake", figures)
    return figures


if __name__ == "__main__":
    run()
