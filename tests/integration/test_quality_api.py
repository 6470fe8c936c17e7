"""Quality over HTTP: reports in, verdicts out, large ones later, and the command beside it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import Result
from typer.testing import CliRunner

from productops.cli.main import app
from productops.domain.governance_access import Grant, Role
from productops.domain.quality_runs import UploadState
from productops.errors import NotFoundError, ProductOpsError
from productops.settings import Settings
from productops.usecases.context import Context
from productops.usecases.quality_uploads import accept_upload, incoming_folder, judge_waiting, read_upload, tidy_uploads
from productops.usecases.quality_validate import ValidateRequest
from tests.integration.test_api.support import OPS, TOKEN, client_of, free_ports, person_token, serving, wait_until
from tests.support import SOMEBODY, add_service, make_context, service_spec, sqlite_url

QUALITY = f"{OPS}/quality"
GOOD = '<testsuite name="s"><testcase classname="c" name="good" time="0.1"/></testsuite>'
BAD_CASE = '<testcase classname="c" name="bad"><failure message="1 != 2"/></testcase>'
BAD = f'<testsuite name="s">{BAD_CASE}</testsuite>'
COVERAGE = json.dumps(
    {
        "meta": {"format": 3, "version": "7.6"},
        "files": {"a.py": {"executed_lines": list(range(1, 100)), "missing_lines": [100]}},
        "totals": {},
    }
)
FORM = {"service": "shop", "version": "1.1.0", "commit": "4f1c9e7", "branch": "main"}


@dataclass
class Door:
    context: Context
    settings: Settings
    client: httpx.Client
    home: Path

    def send(self, *reports: tuple[str, str | bytes], key: str | None = None, **fields: Any) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        files = [("files", report) for report in reports]
        return self.client.post(f"{QUALITY}/validate", data=FORM | fields, files=files, headers=headers)


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("quality")
    context = make_context(sqlite_url(folder))
    add_service(context, "shop", service_spec(), live="1.0")
    with context.store.write() as unit:
        unit.catalog.put_venture("gemini", title="", description="", author="tester", now=context.clock.now())
    (folder / "reports").mkdir()
    (folder / "reports/junit.xml").write_text(GOOD)
    (folder / "reports/coverage.json").write_text(COVERAGE)
    settings = Settings(
        home=folder, port_base=free_ports(), api_token=TOKEN, database_url=sqlite_url(folder), quality_upload_mb=20,
        quality_reports=folder / "reports",
    )  # fmt: skip
    with serving(context, settings), client_of(settings) as client:
        yield Door(context, settings, client, folder)


def test_a_good_version_may_go_out_and_a_bad_one_may_not(door: Door) -> None:
    good = door.send(("junit.xml", GOOD), ("coverage.json", COVERAGE))
    bad = door.send(("junit.xml", BAD), ("coverage.json", COVERAGE))
    assert (good.status_code, good.json()["state"]) == (200, "passed"), good.text
    assert (bad.status_code, bad.json()["state"]) == (200, "failed")
    failed = next(gate for gate in bad.json()["gates"] if gate["state"] == "failed")
    assert "bad" in failed["items"][0]["text"]
    assert failed["to_pass"]
    read = door.client.get(f"{QUALITY}/runs/{bad.json()['id']}")
    assert read.json() == bad.json()
    assert door.client.get(f"{QUALITY}/runs/{bad.json()['id']}", headers={"If-None-Match": read.headers["etag"]}).status_code == 304


def test_the_same_key_is_the_same_run_and_other_reports_with_it_are_refused(door: Door) -> None:
    first = door.send(("junit.xml", GOOD), ("coverage.json", COVERAGE), key="build-7")
    again = door.send(("junit.xml", GOOD), ("coverage.json", COVERAGE), key="build-7")
    other = door.send(("junit.xml", BAD), ("coverage.json", COVERAGE), key="build-7")
    assert first.json()["id"] == again.json()["id"]
    assert (other.status_code, other.json()["slug"]) == (409, "idempotency-key-reused")


def test_runs_are_listed_by_filters_and_pages(door: Door) -> None:
    ids = [door.send(("junit.xml", GOOD), ("coverage.json", COVERAGE), version="7.0").json()["id"] for _ in range(3)]
    first = door.client.get(f"{QUALITY}/runs", params={"version": "7.0", "limit": 2}).json()
    second = door.client.get(f"{QUALITY}/runs", params={"version": "7.0", "limit": 2, "after": first["next"]}).json()
    assert [run["id"] for run in first["items"] + second["items"]] == ids[::-1]
    assert second["next"] is None


def test_tests_of_a_run_come_in_pages_those_that_failed_first(door: Door) -> None:
    cases = "".join(f'<testcase classname="c" name="t{number}"/>' for number in range(5))
    run = door.send(("junit.xml", f'<testsuite name="s">{cases}{BAD_CASE}</testsuite>'), ("coverage.json", COVERAGE)).json()
    first = door.client.get(f"{QUALITY}/runs/{run['id']}/tests", params={"limit": 4}).json()
    second = door.client.get(f"{QUALITY}/runs/{run['id']}/tests", params={"limit": 4, "after": first["next"]}).json()
    assert first["items"][0]["name"] == "bad"
    assert len(first["items"] + second["items"]) == 6
    assert second["next"] is None
    assert door.client.get(f"{QUALITY}/runs/{run['id']}/findings").json() == {"items": [], "next": None}


def test_a_waiver_lets_the_version_pass_until_it_is_taken_back(door: Door) -> None:
    run = door.send(("junit.xml", BAD), ("coverage.json", COVERAGE), version="8.0").json()
    failed = next(gate for gate in run["gates"] if gate["state"] == "failed")
    later = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    body = {"service": "shop", "gate": failed["gate"], "key": failed["items"][0]["key"], "owner": "mia", "reason": "known since Monday"}
    waiver = door.client.post(f"{QUALITY}/waivers", json=body | {"expires_at": later})
    assert waiver.status_code == 201, waiver.text
    assert door.client.get(f"{QUALITY}/runs/{run['id']}").json()["state"] != "failed"
    assert waiver.json()["id"] in [each["id"] for each in door.client.get(f"{QUALITY}/waivers").json()["items"]]
    ended = door.client.post(f"{QUALITY}/waivers/{waiver.json()['id']}/end", json={"reason": "mended"})
    assert ended.json()["ended_at"]
    assert door.client.get(f"{QUALITY}/runs/{run['id']}").json()["state"] == "failed"


def test_reports_may_be_named_in_place_of_being_sent(door: Door) -> None:
    named = door.client.post(f"{QUALITY}/validate", json=FORM | {"artifacts": ["junit.xml", "coverage.json"]})
    assert (named.status_code, named.json()["state"]) == (200, "passed"), named.text
    outside = door.client.post(f"{QUALITY}/validate", json=FORM | {"artifacts": ["../productops.db"]})
    assert (outside.status_code, outside.json()["slug"]) == (422, "invalid-input")
    ours = door.client.post(f"{QUALITY}/validate", json=FORM | {"artifacts": ["https://127.0.0.1/junit.xml"]})
    assert "no public address" in ours.json()["detail"]


@pytest.mark.parametrize(
    ("request_", "status", "told"),
    [
        ({"data": FORM}, 415, "multipart/form-data"),
        ({"data": FORM, "files": [("files", ("junit.xml", "<testsuite"))]}, 422, "junit.xml"),
        ({"data": FORM, "files": [("files", ("notes.txt", "hello you"))]}, 422, "no known format"),
        ({"data": {"service": "shop"}, "files": [("files", ("junit.xml", GOOD))]}, 422, "version"),
        ({"data": FORM | {"colour": "red"}, "files": [("files", ("junit.xml", GOOD))]}, 422, "colour"),
        ({"data": FORM | {"service": "nothing"}, "files": [("files", ("junit.xml", GOOD))]}, 404, "nothing"),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 422, "no JSON"),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_says_why(door: Door, request_: dict[str, Any], status: int, told: str) -> None:
    answer = door.client.post(f"{QUALITY}/validate", **request_)
    assert answer.status_code == status, answer.text
    assert told in json.dumps(answer.json())
    assert list(door.settings.quality_folder.glob(".incoming-*")) == []


def test_who_only_reads_may_not_hand_in(door: Door) -> None:
    token = person_token(door.context, "reader", Grant(Role.VIEWER, "apollo"))
    files = [("files", ("junit.xml", GOOD))]
    headers = {"Authorization": f"Bearer {token}"}
    assert door.client.post(f"{QUALITY}/validate", data=FORM, files=files, headers=headers).status_code == 403
    elsewhere = {"Authorization": f"Bearer {person_token(door.context, 'builder elsewhere', Grant(Role.DEVELOPER, 'gemini'))}"}
    assert door.client.post(f"{QUALITY}/validate", data=FORM, files=files, headers=elsewhere).status_code == 404


def test_a_body_past_the_limit_is_refused(door: Door) -> None:
    answer = door.send(("junit.xml", b"x" * (21 * 1024 * 1024)))
    assert answer.status_code == 413
    assert "20,971,520" in answer.json()["detail"]
    assert door.client.post(f"{QUALITY}/waivers", content=b"x" * 2_000_000, headers={"Content-Type": "application/json"}).status_code == 413


def large(tests: int = 40_000) -> str:
    cases = "".join(f'<testcase classname="c" name="{"t" * 100}{number}"/>' for number in range(tests))
    return f'<testsuite name="s">{cases}</testsuite>'


def test_a_large_report_is_judged_later_in_a_process_of_its_own(door: Door) -> None:
    answer = door.send(("junit.xml", large()), ("coverage.json", COVERAGE), key="large-1", version="9.0")
    assert answer.status_code == 202, answer.text
    again = door.send(("junit.xml", large()), ("coverage.json", COVERAGE), key="large-1", version="9.0")
    assert again.headers["location"] == answer.headers["location"]
    deadline = time.monotonic() + 60
    while (upload := door.client.get(answer.headers["location"]).json())["state"] not in {"judged", "failed"}:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert upload["state"] == "judged", upload
    run = door.client.get(f"{QUALITY}/runs/{upload['run_id']}").json()
    assert (run["state"], run["version"], run["by"]) == ("passed", "9.0", upload["by"])
    wait_until(lambda: not (door.settings.quality_folder / upload["id"]).exists())


def productops(door: Door, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PRODUCTOPS_TOKEN": TOKEN, "PRODUCTOPS_HOME": str(door.home), "COLUMNS": "160"}
    command = [sys.executable, "-m", "productops.cli.main", "quality", *arguments, "--api-url", door.settings.api_url]
    return subprocess.run(command, env=environment, cwd=door.home, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_tells_verdicts_by_its_exit_code(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRODUCTOPS_TOKEN", TOKEN)
    (door.home / "bad.xml").write_text(BAD)
    given = ["--service", "shop", "--version", "6.0", "--commit", "abc", "--branch", "main", "--coverage", "reports/coverage.json"]
    good = productops(door, "validate", *given, "--junit", "reports/junit.xml", "--markdown", "summary.md")
    assert good.returncode == 0, good.stdout + good.stderr
    assert "PASSED: May go out" in good.stdout
    assert "| tests | passed | required |" in (door.home / "summary.md").read_text()
    bad = productops(door, "validate", *given, "--junit", "bad.xml", "--json")
    assert bad.returncode == 3
    run = json.loads(bad.stdout)
    assert run["state"] == "failed"
    for given in (["show", run["id"]], ["runs", "--service", "shop", "--version", "6.0"], ["policy", "--service", "shop"], ["waivers"]):
        told = CliRunner().invoke(app, ["quality", *given, "--api-url", door.settings.api_url, "--home", str(door.home)])
        assert told.exit_code == 0, told.output
        assert {"show": "FAILED", "runs": run["id"], "policy": "policy built-in", "waivers": "waive"}[given[0]] in told.output


def test_the_command_judges_without_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "good.xml").write_text(GOOD)
    (tmp_path / "bad.xml").write_text(BAD)
    (tmp_path / "broken.xml").write_text("<testsuite")
    policy = (
        "apiVersion: productops/v1\nkind: QualityPolicy\nmetadata: {name: mine}\nspec:\n  gates: [{name: unit, kind: unit, tests_min: 1}]\n"
    )
    (tmp_path / "policy.yaml").write_text(policy)
    (tmp_path / "strict.yaml").write_text(policy.replace("tests_min: 1", "tests_min: 2"))
    (tmp_path / "wrong.yaml").write_text(policy.replace("tests_min: 1", "tests_min: -1"))

    def judge(report: str, policy: str) -> Result:
        given = ["quality", "validate", "--offline", "--service", "x", "--version", "1", "--policy", policy, "--junit", report]
        return CliRunner().invoke(app, given)

    def code(result: Result) -> int:
        return result.exception.exit_code if isinstance(result.exception, ProductOpsError) else result.exit_code

    monkeypatch.chdir(tmp_path)
    assert code(judge("good.xml", "policy.yaml")) == 0
    assert code(judge("bad.xml", "policy.yaml")) == 3
    assert code(judge("good.xml", "strict.yaml")) == 4
    assert code(judge("broken.xml", "policy.yaml")) == 65
    assert code(judge("missing*.xml", "policy.yaml")) == 66
    wrong = judge("good.xml", "wrong.yaml")
    assert code(wrong) == 65
    assert "wrong.yaml:5" in str(wrong.exception)


@pytest.fixture
def quiet(tmp_path: Path) -> Context:
    """A store without an API, where nothing is judged by itself."""
    context = make_context(sqlite_url(tmp_path))
    add_service(context, "shop", service_spec(), live="1.0")
    return context


def upload(context: Context, root: Path, content: str, *, key: str | None = None) -> str:
    folder = incoming_folder(root)
    (folder / "junit.xml").write_text(content)
    request = ValidateRequest(service="shop", version="1.1.0", commit="abc", branch="main", idempotency_key=key, inputs=("junit.xml",))
    return accept_upload(context, request, folder, root, actor=SOMEBODY).id


def test_an_upload_whose_judge_was_killed_is_judged_by_the_next_one(quiet: Context, tmp_path: Path) -> None:
    root = tmp_path / "uploads"
    one = upload(quiet, root, large(30_000))
    environment = {**os.environ, "PRODUCTOPS_HOME": str(tmp_path), "PRODUCTOPS_DATABASE_URL": sqlite_url(tmp_path)}
    command = [sys.executable, "-m", "productops.api.quality_worker"]
    worker = subprocess.Popen(command, env=environment)
    deadline = time.monotonic() + 30
    while read_upload(quiet, one, actor=SOMEBODY).state is not UploadState.WORKING:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=30) == 0
    assert read_upload(quiet, one, actor=SOMEBODY).state is UploadState.WAITING
    assert subprocess.run(command, env=environment, timeout=120, check=False).returncode == 0
    done = read_upload(quiet, one, actor=SOMEBODY)
    assert done.state is UploadState.JUDGED
    assert done.attempts == 2
    assert done.run_id


def test_an_upload_that_cannot_be_read_ends_with_its_reason_and_its_files_go(quiet: Context, tmp_path: Path) -> None:
    root = tmp_path / "uploads"
    one = upload(quiet, root, "<testsuite")
    assert judge_waiting(quiet, owner="test") == 1
    ended = read_upload(quiet, one, actor=SOMEBODY)
    assert ended.state is UploadState.FAILED
    assert "junit.xml" in ended.reason
    assert not (root / one).exists()
    assert judge_waiting(quiet, owner="test") == 0


def test_two_judges_share_the_work_and_judge_nothing_twice(quiet: Context, tmp_path: Path) -> None:
    ids = [upload(quiet, tmp_path / "uploads", GOOD) for _ in range(4)]
    environment = {**os.environ, "PRODUCTOPS_HOME": str(tmp_path), "PRODUCTOPS_DATABASE_URL": sqlite_url(tmp_path)}
    both = [subprocess.Popen([sys.executable, "-m", "productops.api.quality_worker"], env=environment) for _ in range(2)]
    assert [each.wait(timeout=60) for each in both] == [0, 0]
    ended = [read_upload(quiet, one, actor=SOMEBODY) for one in ids]
    assert [(each.state, each.attempts) for each in ended] == [(UploadState.JUDGED, 1)] * 4
    assert len({each.run_id for each in ended}) == 4


def test_what_a_crash_left_of_an_upload_is_removed_after_a_day(quiet: Context, tmp_path: Path) -> None:
    root = tmp_path / "uploads"
    kept = upload(quiet, root, GOOD)
    for folder in (incoming_folder(root), root / kept):
        os.utime(folder, (time.time() - 100_000, time.time() - 100_000))
    fresh = incoming_folder(root)
    assert tidy_uploads(quiet, root) == 1
    assert sorted(each.name for each in root.iterdir()) == sorted([kept, fresh.name])


def test_an_upload_is_only_seen_by_who_may_see_its_venture(quiet: Context, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no upload"):
        read_upload(quiet, "0197c5a2-6f0e-7c3a-9b1f-2f6c1d0b7e11", actor=SOMEBODY)
    with pytest.raises(NotFoundError, match="there is no upload"):
        read_upload(quiet, "no-id", actor=SOMEBODY)


def test_another_policy_is_tried_on_what_was_judged(door: Door) -> None:
    run = door.send(("junit.xml", GOOD), ("coverage.json", COVERAGE), version="5.0").json()
    assert run["state"] == "passed"
    policy = (
        "apiVersion: productops/v1\nkind: QualityPolicy\nmetadata: {name: more}\nspec:\n  gates: [{name: u, kind: unit, tests_min: 9}]\n"
    )
    found = door.client.post(f"{QUALITY}/backtest", json={"policy": policy, "last": 500}).json()
    mine = next(each for each in found["runs"] if each["run"]["id"] == run["id"])
    assert (mine["state"], mine["difference"], mine["gates"]) == ("inconclusive", "stopped", ["u"])
    assert found["stopped"] >= 1
    (door.home / "more.yaml").write_text(policy)
    assert "more would have stopped" in productops(door, "backtest", "--policy", "more.yaml", "--last", "500").stdout
    neither = door.client.post(f"{QUALITY}/backtest", json={})
    assert (neither.status_code, "approval_id" in neither.text) == (422, True)
