"""One real stack for all end-to-end tests, with users in its shop all the time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.real_stack import PRODUCTION, RealStack
from tests.e2e.users import Users
from tests.integration.test_stack.lab import free_port_base

GOOD = ("1.0.0", "1.1.0")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole stacks under load have the machine for themselves."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.alone)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(400))


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealStack]:
    """Up, with 1.0.0 of the shop live. pytest keeps the home of its last runs, so that the logs of a failure can be read."""
    made = RealStack(tmp_path_factory.mktemp("e2e") / "home", free_port_base())
    try:
        made.up()
        made.make_live("1.0.0")
        yield made
    finally:
        made.down()


@pytest.fixture(scope="session")
def users(stack: RealStack) -> Iterator[Users]:
    """Sixty requests a second for the shop."""
    made = Users(stack.router_url, "shop.localhost")
    made.start()
    yield made
    made.stop()


@dataclass
class Shop:
    """The shop at the beginning of a test: ``baseline`` is live, ``candidate`` is a good version that is not."""

    stack: RealStack
    users: Users
    baseline: str
    candidate: str
    began: float

    def begin_canary(self, *, hold_s: float = 30.0) -> str:
        """Release the candidate and return when users meet it at 20 %; the step is held for ``hold_s``."""
        began = time.monotonic()
        release_id = self.stack.ask(
            "shop", self.candidate, weights_pct=[20], hold_s=hold_s, force_downgrade=True,
            on_inconclusive="extend",
        )  # fmt: skip
        self.stack.await_candidate(release_id, 20)
        self.users.await_on(self.candidate, since=began)
        return release_id

    def assert_next_release_works(self) -> None:
        """A good version still reaches its users."""
        began = time.monotonic()
        live = self.stack.target().baseline_version
        version = GOOD[live == GOOD[0]]
        self.stack.make_live(version)
        assert self.stack.target().baseline_version == version
        self.users.await_on(version, since=began)


@pytest.fixture
def shop(stack: RealStack, users: Users) -> Iterator[Shop]:
    """A well stack, nothing in flight, a good version live. Afterwards no request may have been lost on its way."""
    stack.await_well()
    stack.make_idle()
    with stack.store.write() as unit:  # a person's roll back bars its version
        unit.quarantine.lift("shop", PRODUCTION)
    if stack.target().baseline_version not in GOOD:
        stack.make_live(GOOD[0])
    baseline = stack.target().baseline_version or ""
    began = time.monotonic()
    users.await_on(baseline, since=began)
    made = Shop(stack, users, baseline, GOOD[baseline == GOOD[0]], began)
    yield made
    stack.assert_records_whole()


@pytest.fixture
def nobody_lost(shop: Shop) -> Iterator[None]:
    """Every request of the test got an answer."""
    yield
    lost = shop.users.errors_since(shop.began)
    assert not lost, f"{len(lost)} requests were lost: {[str(r.error) for r in lost[:5]]}"
