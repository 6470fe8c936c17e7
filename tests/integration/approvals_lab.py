"""People with roles, policies from real catalog files, and a house with a service, for tests of approvals."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from productops.adapters.catalog_files import load_catalog
from productops.domain.governance_access import ANY, MACHINE, Grant, Principal, Role
from productops.usecases.catalog import apply_catalog
from productops.usecases.context import Actor, Clock, Context
from productops.usecases.release_request import ReleaseWish
from tests.integration.test_api.support import HandMadeOrchestrator
from tests.support import SOMEBODY, add_service

RM, DIRECTOR, DEVELOPER = Role.RELEASE_MANAGER, Role.DIRECTOR, Role.DEVELOPER
VENTURE = "apiVersion: productops/v1\nkind: Venture\nmetadata: {name: apollo}\n"


def person(name: str, *roles: Role, venture: str = ANY, kind: str = "person") -> Actor:
    grants = tuple(Grant(role, venture) for role in roles)
    return Actor(name, "api", Principal(name, grants, kind=kind))


DEV = person("dev", DEVELOPER)
ANN, BOB, CARL = person("ann", RM), person("bob", RM), person("carl", RM)
DORA, EMIL, FRED = person("dora", DIRECTOR), person("emil", DIRECTOR), person("fred", DIRECTOR)
EVERYBODY = (DEV, ANN, BOB, CARL, DORA, EMIL, FRED)


class MovedClock(Clock):
    """The real clock, so much ahead."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def now(self):
        return super().now() + self.ahead


def make_house(context: Context) -> Context:
    """Service ``shop``, live with 1.0; seven people with roles; flows are started by hand."""
    made = replace(context, clock=MovedClock(), orchestrator=HandMadeOrchestrator())
    add_service(made, live="1.0")
    with made.store.write() as unit:
        now = made.clock.now()
        for each in EVERYBODY:
            someone = unit.principals.add(each.name, kind="person", subject=None, email="", declared_in=None, now=now)
            for grant in each.principal.grants:
                unit.principals.grant(grant, person=someone, given_by="tester", now=now)
    return made


def policy(
    name="production", *, actions="[release]", scope="{environments: [production]}", signatures="[{role: release-manager}]", more=""
):
    return (
        f"---\napiVersion: productops/v1\nkind: ApprovalPolicy\nmetadata: {{name: {name}}}\n"
        f"spec: {{actions: {actions}, scope: {scope}, signatures: {signatures}{more}}}\n"
    )


def apply(context: Context, folder: Path, *entries: str, actor: Actor = SOMEBODY) -> dict[str, str]:
    folder.mkdir(exist_ok=True)
    (folder / "catalog.yaml").write_text(VENTURE + "".join(entries))
    return {c.name: c.outcome for c in apply_catalog(context, load_catalog(folder), actor=actor)}


def wish(version="2.0", **more) -> ReleaseWish:
    return ReleaseWish(service="shop", version=version, **more)


def audited(context: Context) -> list[str]:
    with context.store.read() as unit:
        assert unit.audit.first_broken() is None
        return [e["action"] for e in unit.audit.entries()]


def as_machine(name: str) -> Actor:
    return Actor(name, "cli", MACHINE)
