"""Doctor's look at on-call: will somebody be called, at any hour of the next weeks?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from productops.cli.stack.doctor import Finding, Judgement
from productops.errors import ProductOpsError
from productops.settings import Settings

if TYPE_CHECKING:
    from productops.usecases.incident_oncall import OnCallProblem


def check_on_call(settings: Settings) -> list[Finding]:
    """Gaps, people without a channel, channels without a secret: each is a call that reaches nobody."""
    url = settings.sqlalchemy_url
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
        return [Finding("on call", "ok", "nothing is declared yet")]
    from productops.adapters.analytics_mail import connect_mail  # here: a second of imports
    from productops.adapters.doorbell import Doorbell
    from productops.adapters.webhook_secrets import SecretFolder
    from productops.domain.incident_oncall import Schedule
    from productops.store import Store, migrate
    from productops.usecases.context import OURSELVES, Context
    from productops.usecases.incident_oncall import check_oncall

    try:
        if migrate.current(url) != migrate.head():
            return [Finding("on call", "ok", "looked at once the database is brought up to date")]
        store = Store(url)
        try:
            context = Context(
                store=store, doorbell=Doorbell(settings.doorbell_port), lease_ttl_s=settings.lease_ttl_s,
                secrets=SecretFolder(settings.secret_folder), mail=connect_mail(settings),
            )  # fmt: skip
            problems = check_oncall(context, actor=OURSELVES)
            with store.read() as unit:
                declared = bool(unit.oncall.all(Schedule))
        finally:
            store.close()
    except ProductOpsError as error:
        return [Finding("on call", "note", f"cannot be looked at: {error}")]
    if not declared:
        mend = "declare OnCall, Escalation and Channel in the catalog (docs/how-to/on-call.md)"
        return [Finding("on call", "note", "nobody is: an incident calls no one", mend)]
    mend = "mend the entry in the catalog (docs/how-to/on-call.md)"
    return [Finding("on call", _weight(each), f"{each.kind} {each.name}: {each.text}", mend) for each in problems] or [
        Finding("on call", "ok", "somebody can be called at any hour of the next weeks")
    ]


def _weight(problem: OnCallProblem) -> Judgement:
    """A secret that is not set here may be where the watch runs."""
    return "note" if problem.kind == "Channel" else "wrong"
