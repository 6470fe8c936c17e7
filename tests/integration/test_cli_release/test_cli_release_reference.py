"""The generated reference."""

from productops.cli import docs_reference
from productops.cli.docs_reference import outdated, pages
from productops.settings import Settings


def test_the_reference_pages_are_as_the_code_would_write_them():
    assert outdated() == [], "run: make docs"


def test_the_reference_names_every_setting_command_operation_and_error():
    made = pages()
    assert all(f"`PRODUCTOPS_{name.upper()}`" in made["settings.md"] for name in Settings.model_fields)
    assert all(f"## productops {name}" in made["cli.md"] for name in ("up", "release", "rollback", "apply"))
    assert "## POST /api/v1/product-ops/release/{version}" in made["api.md"]
    assert "`release-in-flight`" in made["errors.md"]


def test_the_reference_does_not_depend_on_who_writes_it(monkeypatch):
    before = pages()
    for name, value in (("HOME", "/elsewhere"), ("USER", "somebody"), ("PRODUCTOPS_PORT_BASE", "9000"), ("COLUMNS", "40")):
        monkeypatch.setenv(name, value)
    assert pages() == before
    assert docs_reference.outdated(docs_reference.FOLDER / "nowhere") == list(before)
