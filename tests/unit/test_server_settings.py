"""Settings of the Prefect server and environments of the stack's processes."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from productops.cli.stack.environment import STACK_HOME, bare_environment, our_environment, prefect_server_environment
from productops.cli.stack.home import resolved
from productops.cli.stack.prefect_environment import foreign_variables, prefect_database_url, shown_url
from productops.cli.stack.specs import stack_specs
from productops.errors import SettingsError
from productops.settings import Settings, load_settings

INHERITED = {"PATH": "/bin", "PREFECT_API_URL": "https://elsewhere", "PRODUCTOPS_PORT_BASE": "9", "SECRET_OF_USER": "s", "LANG": "C"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, port_base=21_000, api_token=SecretStr("t0ken"), database_url="postgresql+psycopg://u:pw@db/po")


def test_no_foreign_prefect_setting_reaches_any_process(settings: Settings) -> None:
    for make in (our_environment, prefect_server_environment, bare_environment):
        environment = make(settings, INHERITED)
        assert "https://elsewhere" not in environment.values()
        assert environment["PATH"] == "/bin"
        assert environment[STACK_HOME] == str(settings.home)


def test_secrets_go_only_to_our_own_processes(settings: Settings) -> None:
    ours = our_environment(settings, INHERITED)
    assert ours["PRODUCTOPS_API_TOKEN"] == "t0ken"
    assert ours["PRODUCTOPS_DATABASE_URL"].endswith(":pw@db/po")
    for environment in (prefect_server_environment(settings, INHERITED), bare_environment(settings, INHERITED)):
        assert not any(secret in value for secret in ("t0ken", "pw@") for value in environment.values())
    assert "SECRET_OF_USER" not in bare_environment(settings, INHERITED)


def test_settings_survive_the_way_through_the_environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    full = settings.model_copy(update={"lease_ttl_s": 3.5, "log_json": False, "user": "ada", "catalog": Path("/catalog")})
    for name, value in our_environment(full, {}).items():
        monkeypatch.setenv(name, value)
    assert load_settings() == full


def test_relative_folders_become_absolute_because_processes_run_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    made = resolved(Settings(home=Path("state"), catalog=Path("catalog")))
    assert (made.home, made.catalog) == (tmp_path / "state", tmp_path / "catalog")


def test_clients_never_start_a_temporary_server(settings: Settings) -> None:
    ours = our_environment(settings, {})
    assert ours["PREFECT_API_URL"] == "http://127.0.0.1:21001/api"
    assert ours["PREFECT_SERVER_EPHEMERAL_ENABLED"] == "false"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("postgresql://u@/prefect?host=/run/pg", "postgresql+asyncpg://u@/prefect?host=/run/pg"),
        ("postgresql+psycopg://u:p@db:5432/prefect", "postgresql+asyncpg://u:p@db:5432/prefect"),
        ("sqlite:////data/p.db", "sqlite+aiosqlite:////data/p.db"),
    ],
)
def test_prefect_gets_its_asynchronous_driver(given: str, expected: str) -> None:
    assert prefect_database_url(Settings(prefect_database_url=given)) == expected


@pytest.mark.parametrize("given", ["mysql://db/prefect", "prefect.db"])
def test_a_database_prefect_cannot_use_is_a_settings_error(given: str) -> None:
    with pytest.raises(SettingsError, match="PRODUCTOPS_PREFECT_DATABASE_URL"):
        prefect_database_url(Settings(prefect_database_url=given))


def test_passwords_are_not_shown() -> None:
    assert shown_url("postgresql://u:s3cret@db:5432/po") == "postgresql://u:***@db:5432/po"
    assert shown_url("sqlite:////home/po.db") == "sqlite:////home/po.db"


def test_foreign_variables_are_named() -> None:
    assert foreign_variables({"PREFECT_HOME": "x", "PATH": "y"}) == ["PREFECT_HOME"]


def test_the_stack_has_its_seven_processes_and_each_can_be_asked_whether_it_is_ready(settings: Settings) -> None:
    specs = {spec.name: spec for spec in stack_specs(settings)}
    assert set(specs) == {"prefect", "router", "dispatcher", "api", "agent", "watch", "logs"}
    assert specs["api"].probe.target == "http://127.0.0.1:21000/healthz"
    assert specs["prefect"].probe.target == "http://127.0.0.1:21001/api/health"
    assert specs["router"].probe.target == "http://127.0.0.1:21003/ready"
    assert specs["agent"].probe.target == str(settings.home / "run" / "agent.ready")
    assert specs["dispatcher"].stop_stage < specs["agent"].stop_stage < specs["router"].stop_stage
