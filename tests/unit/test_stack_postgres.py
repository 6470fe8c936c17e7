"""Which PostgreSQL `up --postgres` starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from productops.cli.stack.postgres import Cluster, installed_programs, programs_folder, wheel_programs


def test_a_machine_with_a_whole_postgresql_serves_prefect_too_and_comes_before_the_wheel() -> None:
    installed = installed_programs()
    if not installed:
        pytest.skip("this machine has no PostgreSQL with pg_trgm")
    chosen = Cluster(Path("/nowhere"), Path("/nowhere"), installed[0], None)
    assert programs_folder() == installed[0]
    assert chosen.serves_prefect
    assert str(installed[0]) in chosen.origin


def test_files_of_one_version_are_never_given_to_programs_of_another(tmp_path: Path) -> None:
    (tmp_path / "PG_VERSION").write_text("7\n")
    assert programs_folder(tmp_path) is None
    if wheel_programs() is not None:
        (tmp_path / "PG_VERSION").write_text("18\n")
        found = programs_folder(tmp_path)
        assert found is not None
        assert "18" in found.parent.name
