"""Doctor's findings."""

from __future__ import annotations

import shutil
import socket
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from os import utime
from pathlib import Path

import pytest

from productops.adapters.token_file import token_path
from productops.cli.stack.doctor import Finding, examine
from productops.cli.stack.doctor_checks import (
    CHECKS,
    check_catalog,
    check_clock,
    check_home,
    check_ports,
    check_prefect,
    check_python,
    check_router_program,
    check_token,
)
from productops.cli.stack.doctor_database import check_database
from productops.cli.stack.home import prepare_home
from productops.cli.stack.tables import findings_table
from productops.settings import Settings
from productops.store.migrate import head, upgrade


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", catalog=tmp_path / "catalog", port_base=15_300)


def only(findings: Sequence[Finding]) -> Finding:
    assert len(findings) == 1, findings
    return findings[0]


def test_a_fresh_machine_has_nothing_wrong_and_nothing_is_made(settings: Settings) -> None:
    found = examine(settings)
    assert [each for each in found.findings if each.judgement == "wrong"] == []
    assert found.healthy
    assert not settings.home.exists()
    assert {each.check for each in found.findings} >= {name for name, _ in CHECKS}


def test_the_interpreter_and_the_router_program_are_found(settings: Settings) -> None:
    assert only(check_python(settings)).judgement == "ok"
    assert only(check_router_program(settings)).judgement == "ok"


def test_a_check_that_breaks_is_a_finding_and_the_others_still_count(settings: Settings) -> None:
    def breaks(_settings: Settings) -> list[Finding]:
        raise RuntimeError("no such luck")

    found = examine(settings, [("first", breaks), ("python", check_python)])
    assert [each.judgement for each in found.findings] == ["wrong", "ok"]
    assert "no such luck" in found.findings[0].detail
    assert not found.healthy
    assert found.as_json()["healthy"] is False


def test_a_taken_port_is_named_with_its_holder(settings: Settings) -> None:
    with closing(socket.create_server(("127.0.0.1", settings.prefect_port))):
        finding = only(check_ports(settings))
    assert finding.judgement == "wrong"
    assert str(settings.prefect_port) in finding.detail
    assert "PRODUCTOPS_PORT_BASE" in finding.mend


def test_an_open_home_and_a_readable_token_are_wrong(settings: Settings) -> None:
    prepare_home(settings.home)
    assert only(check_home(settings)).judgement == "ok"
    assert only(check_token(settings)).judgement == "ok"
    settings.home.chmod(0o755)
    token_path(settings.home).chmod(0o644)
    assert "chmod 700" in only(check_home(settings)).mend
    assert only(check_token(settings)).judgement == "wrong"


def test_too_little_room_is_wrong(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    full = shutil._ntuple_diskusage(10**12, 10**12, 10**6)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    assert only(check_home(settings)).check == "disk"


def test_a_clock_behind_earlier_files_is_wrong(settings: Settings) -> None:
    prepare_home(settings.home)
    assert only(check_clock(settings)).judgement == "ok"
    late = time.time() + 3600
    utime(token_path(settings.home), (late, late))
    assert only(check_clock(settings)).judgement == "wrong"


def test_schemas_older_and_newer_than_this_version_are_told_apart(settings: Settings) -> None:
    settings.home.mkdir()
    database = settings.home / "productops.db"
    assert only(check_database(settings)).judgement == "ok"
    upgrade(settings.sqlalchemy_url)
    assert [each.judgement for each in check_database(settings)] == ["ok", "ok"]
    assert check_database(settings)[1].detail == head()
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    newer = check_database(settings)[1]
    assert newer.judgement == "wrong"
    assert "newer productops" in newer.detail


def test_a_locked_database_is_wrong(settings: Settings) -> None:
    settings.home.mkdir()
    upgrade(settings.sqlalchemy_url)
    with closing(sqlite3.connect(settings.home / "productops.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        finding = only(check_database(settings))
    assert finding.judgement == "wrong"
    assert "locked" in finding.detail


def test_a_database_that_does_not_answer_is_wrong_and_its_password_stays_hidden(settings: Settings) -> None:
    away = settings.model_copy(update={"database_url": "postgresql+psycopg://u:s3cret@127.0.0.1:1/po"})
    finding = only(check_database(away))
    assert finding.judgement == "wrong"
    assert "s3cret" not in finding.detail + finding.mend


def test_foreign_prefect_variables_are_a_note(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "https://elsewhere")
    findings = check_prefect(settings)
    assert [each.judgement for each in findings] == ["ok", "note"]
    assert "PREFECT_API_URL" in findings[1].detail


def test_a_wrong_catalog_names_the_file(settings: Settings) -> None:
    assert only(check_catalog(settings)).judgement == "note"
    settings.catalog.mkdir()
    (settings.catalog / "shop.yaml").write_text("kind: Nonsense\n")
    finding = check_catalog(settings)[0]
    assert finding.judgement == "wrong"
    assert "shop.yaml" in finding.detail


def test_the_table_shows_every_finding() -> None:
    text = findings_table([Finding("ports", "wrong", "taken", "end it"), Finding("python", "ok", "3.11")])
    assert "WRONG" in text
    assert "end it" in text
    assert "python" in text
