"""``productops doctor`` says whether somebody can be called."""

from __future__ import annotations

from pathlib import Path

from productops.cli.stack.doctor_oncall import check_on_call
from productops.settings import Settings
from tests.integration.incident_response_lab import declare
from tests.integration.people_lab import PEOPLE
from tests.support import add_service, make_context, sqlite_url


def told(tmp_path: Path) -> list[tuple[str, str]]:
    found = check_on_call(Settings(home=tmp_path / "home", database_url=sqlite_url(tmp_path)))
    return [(each.judgement, each.detail) for each in found]


def test_doctor_names_who_cannot_be_called_and_which_channel_has_no_secret_here(tmp_path: Path) -> None:
    assert told(tmp_path) == [("ok", "nothing is declared yet")]
    context = make_context(sqlite_url(tmp_path))
    for name in ("shop", "till"):
        add_service(context, name, live="1.0")
    assert told(tmp_path) == [("note", "nobody is: an incident calls no one")]
    declare(context, tmp_path / "catalog", PEOPLE)
    context.store.close()
    found = told(tmp_path)
    assert ("wrong", "OnCall primary: emma has no channel: a call reaches nobody") in found
    assert ("note", "Channel war-room: the secret PRODUCTOPS_SECRET_WAR_ROOM is not set here") in found
    assert {judgement for judgement, _ in found} == {"wrong", "note"}
