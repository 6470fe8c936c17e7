"""Apply a catalog from a shell."""

import json

from productops.store import Store

VENTURE = "apiVersion: productops/v1\nkind: Venture\nmetadata: {name: zeus}\n"
SERVICE = """apiVersion: productops/v1
kind: Service
metadata: {name: cart, venture: zeus}
spec:
  run:
    command: [serve, "{port}"]
    versions: {kind: folder, path: "versions/{version}"}
"""


def names(cli):
    with cli.context.store.read() as unit:
        return [s.name for s in unit.catalog.services()]


def test_a_catalog_is_planned_applied_and_then_unchanged(cli, tmp_path):
    folder = tmp_path / "catalog"
    folder.mkdir()
    (folder / "all.yaml").write_text(f"{VENTURE}---\n{SERVICE}")
    plan = cli.run("apply", str(folder), "--plan")
    assert plan.code == 0
    assert "2 of 2 entries would change" in plan.out
    assert names(cli) == ["shop"]
    applied = cli.run("apply", str(folder))
    assert applied.code == 0
    assert "created" in applied.out
    assert "2 of 2 entries changed" in applied.out
    assert names(cli) == ["cart", "shop"]
    again = json.loads(cli.run("apply", "--json", env={"PRODUCTOPS_CATALOG": str(folder)}).out)
    assert again == {
        "applied": True,
        "changes": [
            {"kind": "Venture", "name": "zeus", "outcome": "unchanged"},
            {"kind": "Service", "name": "cart", "outcome": "unchanged"},
        ],
    }


def test_a_wrong_catalog_changes_nothing_and_names_file_and_line(cli, tmp_path):
    folder = tmp_path / "catalog"
    folder.mkdir()
    (folder / "all.yaml").write_text(f"{VENTURE}---\n{SERVICE}  surprise: 1\n")
    result = cli.run("apply", str(folder))
    assert result.code == 65
    assert "all.yaml:" in result.err
    assert "surprise" in result.err
    assert json.loads(cli.run("apply", str(folder), "--json").out)["slug"] == "catalog-invalid"
    assert cli.run("apply", str(tmp_path / "nowhere")).code == 65
    assert names(cli) == ["shop"]


def test_a_catalog_can_be_applied_before_anything_ever_ran(cli, tmp_path):
    folder = tmp_path / "catalog"
    folder.mkdir()
    (folder / "all.yaml").write_text(f"{VENTURE}---\n{SERVICE}")
    fresh = tmp_path / "fresh"
    result = cli.run("apply", str(folder), "--home", str(fresh), env={"PRODUCTOPS_DATABASE_URL": ""})
    assert result.code == 0
    store = Store(f"sqlite:///{fresh / 'productops.db'}")
    with store.read() as unit:
        assert [s.name for s in unit.catalog.services()] == ["cart"]
    store.close()
