"""The real Prefect server, as the stack starts it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import uuid
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from productops.adapters.prefect_api import auth_header
from productops.adapters.prefect_auth import prefect_auth
from productops.cli.stack import prefect_database
from productops.cli.stack.environment import prefect_server_environment
from productops.cli.stack.home import prepare_home
from productops.cli.stack.specs import stack_specs
from productops.settings import Settings
from tests.integration.test_stack.lab import ROOT, free_port_base, lives, until

PROGRAM = """
import sys
from pathlib import Path
from productops.cli.stack.specs import stack_specs
from productops.cli.stack.start import Stack
from productops.settings import Settings
settings = Settings(home=Path(sys.argv[1]), port_base=int(sys.argv[2]))
only = lambda s: [each for each in stack_specs(s) if each.name == "prefect"]
Stack(settings, make_specs=only, begin_migration=lambda url: lambda: None).run()
"""


@pytest.mark.slow
def test_the_server_starts_for_the_stack_alone_and_ends_with_it(tmp_path: Path) -> None:
    home, base = tmp_path / "home", free_port_base()
    foreign = {"PREFECT_API_URL": "http://127.0.0.1:1/api", "PREFECT_HOME": str(tmp_path / "foreign"), "PREFECT_SERVER_API_PORT": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(home), str(base)],
        cwd=ROOT, env={**os.environ, **foreign}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{base + 1}"
        state = home / "run" / "stack.json"
        until(lambda: state.exists() and json.loads(state.read_text())["phase"] == "running", timeout_s=90)
        server = json.loads(state.read_text())["processes"][0]["pid"]
        ui = httpx.get(f"{url}/prefect/ui-settings").json()
        assert ui["api_url"] == f"http://127.0.0.1:{base}/prefect/api"
        assert ui["csrf_enabled"] is True
        ours = auth_header(prefect_auth(Settings(home=home)))
        refused = httpx.post(f"{url}/api/deployments/filter", json={}, headers=ours)
        assert refused.status_code == 403
        client = str(uuid.uuid4())
        assert httpx.get(f"{url}/api/csrf-token", params={"client": client}).status_code == 401
        token = httpx.get(f"{url}/api/csrf-token", params={"client": client}, headers=ours).json()["token"]
        headers = ours | {"Prefect-Csrf-Token": token, "Prefect-Csrf-Client": client}
        assert httpx.post(f"{url}/api/deployments/filter", json={}, headers=headers).json() == []
        elsewhere = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
        assert "access-control-allow-origin" not in httpx.options(f"{url}/api/flows/", headers=elsewhere).headers
        assert (home / "prefect" / "prefect.db").stat().st_size > 0
        assert not (tmp_path / "foreign").exists()
    finally:
        process.terminate()
        said, _ = process.communicate(timeout=15)
    assert process.returncode == 0, said
    assert not lives(server)


def test_every_setting_we_give_means_what_we_think_to_the_installed_prefect(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, port_base=free_port_base())
    read = """
import json, os, warnings
from prefect.settings.models.root import Settings, _get_settings_accessors
known = _get_settings_accessors(Settings)
values = {}
for name in [n for n in os.environ if n.startswith("PREFECT_")]:
    value = Settings()
    for part in known[name].split("."):
        value = getattr(value, part)
    values[name] = str(value.get_secret_value() if hasattr(value, "get_secret_value") else value)
services = Settings().server.services
print(json.dumps([values, sorted(services.db_vacuum.enabled_vacuum_types)]))
"""
    client = next(each.environment for each in stack_specs(settings) if each.name == "dispatcher")
    variables = {**client, **prefect_server_environment(settings)}
    answer = subprocess.run([sys.executable, "-c", read], env=variables, cwd=tmp_path, capture_output=True, text=True, check=True)
    values, vacuum = json.loads(answer.stdout)
    assert set(values) == {name for name in variables if name.startswith("PREFECT_")}
    assert vacuum == ["events", "flow_runs", "orphans"]
    assert values["PREFECT_SERVER_EVENTS_RETENTION_PERIOD"] == "7 days, 0:00:00"
    assert values["PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD"] == "30 days, 0:00:00"
    assert values["PREFECT_SERVER_EVENTS_PROACTIVE_GRANULARITY"] == "0:00:10"
    assert values["PREFECT_SERVER_ANALYTICS_ENABLED"] == "False"
    assert values["PREFECT_SERVER_DATABASE_CONNECTION_URL"].endswith(f"{tmp_path}/prefect/prefect.db")


@pytest.mark.slow
def test_the_template_is_what_prefects_own_migrations_make_and_is_made_once(tmp_path: Path) -> None:
    template = prefect_database.make_template(tmp_path)
    assert template is not None
    with closing(sqlite3.connect(f"file:{template}?mode=ro", uri=True)) as connection:
        stamp = connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]
    assert template.name == f"prefect-{stamp}.db"
    made = template.stat().st_mtime_ns
    assert prefect_database.make_template(tmp_path) == template
    assert template.stat().st_mtime_ns == made


def test_without_a_template_prefect_makes_its_own_file(tmp_path: Path) -> None:
    assert not prefect_database.prepare(Settings(home=tmp_path), templates=tmp_path / "none")


def test_a_database_that_is_there_is_never_replaced(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    prepare_home(tmp_path)
    templates = tmp_path / "templates"
    templates.mkdir()
    template = prefect_database.template_path(templates)
    assert template is not None
    template.write_bytes(b"a database")
    assert prefect_database.prepare(settings, templates=templates)
    database = tmp_path / "prefect" / "prefect.db"
    made = database.stat()
    assert not prefect_database.prepare(settings, templates=templates)
    assert database.stat().st_ino == made.st_ino
    assert not prefect_database.prepare(Settings(home=tmp_path, prefect_database_url="postgresql://u:p@db/prefect"), templates=templates)
