"""What is done about an incident, as the catalog's YAML names it: ``kind: Playbook``."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from productops.domain.catalog_webhooks import EntryName
from productops.domain.incident_cause import CauseKind
from productops.domain.release import Environment

STEPS_MAX = 20
Severity = Literal["SEV1", "SEV2", "SEV3", "SEV4"]
ServiceName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Step(_Strict):
    """What all steps have. Times in seconds."""

    timeout_s: float = Field(default=60.0, gt=0, le=86_400, description="A step that is not done by then has failed.")
    retries: int = Field(default=0, ge=0, le=10, description="So often it is tried again after it failed.")
    retry_wait_s: float = Field(default=1.0, ge=0, le=3600, description="Time before it is tried again.")
    on_failure: Literal["stop", "continue"] = Field(
        default="stop", description="'stop': undo what was done and page somebody; 'continue': go on with the next step."
    )


class RollBack(_Step):
    """Give users the version before; which release is meant the hypothesis says."""

    do: Literal["roll-back"]


class DisableFlag(_Step):
    """The off variant for everybody there; the flag that the hypothesis names, or ``flag``."""

    do: Literal["disable-flag"]
    flag: str = Field(default="", max_length=100, description="Key of the flag. Empty: the one the hypothesis names.")


class Scale(_Step):
    """More instances of what users have, or fewer."""

    do: Literal["scale"]
    add: int = Field(default=1, ge=-10, le=50, description="So many more than now.")
    instances_max: int = Field(default=8, ge=1, le=100, description="Never more than that.")


class Restart(_Step):
    """Replace instances, one after the other: the new one serves before the old one is drained. No request is lost."""

    do: Literal["restart"]
    which: Literal["ailing", "all"] = Field(
        default="ailing", description="'ailing': the one the hypothesis names, else those that do not answer. 'all': every one in turn."
    )


class Drain(_Step):
    """Take the instance that the hypothesis names out of the traffic and end it; never the last one."""

    do: Literal["drain"]


class FailOver(_Step):
    """Start another version's instances and give it all traffic. The version is not blamed, unlike with a roll back."""

    do: Literal["fail-over"]
    version: str = Field(default="previous", max_length=100, description="'previous': the one users had before the present one.")


class RunCommand(_Step):
    """A command of this playbook."""

    do: Literal["run-command"]
    command: EntryName = Field(description="Its name under spec.commands.")


class Page(_Step):
    """Call whoever is on call."""

    do: Literal["page"]
    say: str = Field(default="", max_length=1000, description="What they are told beside the incident itself.")


class WaitForRecovery(_Step):
    """Go on once the service is as it was before the incident; a service that is not by then has not recovered."""

    do: Literal["wait-for-recovery"]
    timeout_s: float = Field(default=120.0, gt=0, le=86_400, description="So long it may take.")
    good_s: float = Field(default=5.0, ge=1, le=600, description="So many seconds in a row it has to be well.")


class Approve(_Step):
    """Wait for the signatures that an approval policy wants for playbooks; where no policy does, go on at once."""

    do: Literal["approve"]
    timeout_s: float = Field(default=3600.0, gt=0, le=7 * 86_400, description="Without signatures by then the playbook stops.")


Compensation = Annotated[
    Scale | Restart | FailOver | RunCommand | Page | DisableFlag, Field(discriminator="do", description="What undoes a step.")
]


class _Undoable(_Strict):
    compensate: tuple[Compensation, ...] = Field(
        default=(), max_length=5, description="Done, the last step's first, when a later step fails. Left out: the step stays done."
    )


class RollBackStep(RollBack, _Undoable):
    """``do: roll-back``."""


class DisableFlagStep(DisableFlag, _Undoable):
    """``do: disable-flag``."""


class ScaleStep(Scale, _Undoable):
    """``do: scale``."""


class RestartStep(Restart, _Undoable):
    """``do: restart``."""


class DrainStep(Drain, _Undoable):
    """``do: drain``."""


class FailOverStep(FailOver, _Undoable):
    """``do: fail-over``."""


class RunCommandStep(RunCommand, _Undoable):
    """``do: run-command``."""


Step = Annotated[
    RollBackStep | DisableFlagStep | ScaleStep | RestartStep | DrainStep | FailOverStep | RunCommandStep | Page | WaitForRecovery | Approve,
    Field(discriminator="do"),
]


class PlaybookCommand(_Strict):
    """A program that steps may run. No shell is involved; what it prints is kept, without known secrets, and cut."""

    argv: tuple[Annotated[str, Field(max_length=1000)], ...] = Field(
        min_length=1, max_length=50,
        description="Program and arguments. {service}, {environment}, {incident}, {instance}, {version} and {python} are replaced.",
    )  # fmt: skip
    folder: str = Field(default=".", max_length=500, description="Where it runs, relative to the catalog file; not outside of its folder.")
    timeout_s: float = Field(default=30.0, gt=0, le=540)
    memory_mb: int = Field(default=1024, ge=0, le=65_536, description="0: no limit.")
    cpu_s: float = Field(default=0, ge=0, le=36_000, description="Seconds of processor of all its processes; 0: no limit.")
    environment: tuple[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")], ...] = Field(
        default=(), max_length=50, description="Names of variables that are handed on; ours and Prefect's never are."
    )
    repeatable: bool = Field(
        default=True, description="Whether it may run again when nobody knows if it ended. False: somebody is paged instead."
    )


class PlaybookWhen(_Strict):
    """Which incidents it is for. An empty list: all. Everything that is given has to fit."""

    causes: tuple[CauseKind, ...] = Field(
        default=(), description="Kinds of the likeliest hypothesis. `unknown` has to be named: an empty list does not mean it."
    )
    subjects: tuple[Annotated[str, Field(max_length=200)], ...] = Field(
        default=(), max_length=50, description="Words of which the hypothesis' subject has one: disk, cpu."
    )
    words: tuple[Annotated[str, Field(min_length=1, max_length=100)], ...] = Field(
        default=(), max_length=50, description="Words of which the incident's title has one."
    )
    kinds: tuple[Literal["deployment", "performance", "availability", "security", "data", "quality"], ...] = Field(
        default=(), description="Kinds of incidents."
    )
    services: tuple[ServiceName, ...] = Field(default=(), max_length=500)
    environments: tuple[Environment, ...] = ()
    severities: tuple[Severity, ...] = ()
    probability_min: float = Field(default=0.75, ge=0, le=1, description="With a less likely hypothesis a person is paged instead.")
    lead_min: float = Field(default=0.4, ge=0, le=1, description="So much likelier than the second hypothesis it has to be.")


class PlaybookLimits(_Strict):
    """Guard rails of what is done without a person."""

    actions_per_hour: int = Field(default=3, ge=0, le=100, description="Of all playbooks together, for one service there.")
    repeats_per_hour: int = Field(default=1, ge=1, le=100, description="The same step on the same thing.")


class PlaybookSpec(_Strict):
    """When it is for, what is done, and how far it may go without a person."""

    title: str = Field(default="", max_length=200)
    description: str = Field(default="", max_length=4000)
    when: PlaybookWhen = PlaybookWhen()
    rank: int = Field(default=100, ge=0, le=10_000, description="Of several that fit the lowest is taken.")
    automatic: bool = Field(default=True, description="False: it is proposed, and begins when a person says so.")
    limits: PlaybookLimits = PlaybookLimits()
    commands: dict[EntryName, PlaybookCommand] = Field(default_factory=dict, max_length=20)
    steps: tuple[Step, ...] = Field(min_length=1, max_length=STEPS_MAX)
    drill: str = Field(default="", max_length=40, description="The fault that `productops drill` injects for it.")

    @model_validator(mode="after")
    def _commands_known(self) -> Self:
        for step in self.steps:
            for each in (step, *getattr(step, "compensate", ())):
                named = getattr(each, "command", None)
                if named is not None and named not in self.commands:
                    known = ", ".join(self.commands) or "none"
                    raise ValueError(f"a step runs the command {named!r}, which spec.commands does not have; it has {known}")
        return self

    @model_validator(mode="after")
    def _moves_nothing_blindly(self) -> Self:
        """What is not known is no reason to change anything."""
        if CauseKind.UNKNOWN in self.when.causes:
            acting = [step.do for step in self.steps if step.do not in {"page", "approve", "wait-for-recovery"}]
            if acting:
                raise ValueError(
                    f"it is for causes that are unknown, and {acting[0]} changes something: only page, approve and wait may be done"
                )
        return self


class PlaybookMetadata(_Strict):
    """Name and owner of a playbook."""

    name: EntryName
    venture: EntryName | None = Field(default=None, description="The venture it is for. Left out: all.")
    labels: dict[str, str] = Field(default_factory=dict, max_length=50)


class PlaybookEntry(_Strict):
    """``kind: Playbook``."""

    apiVersion: Literal["productops/v1"]  # noqa: N815 - the field's spelling in every such catalog
    kind: Literal["Playbook"]
    metadata: PlaybookMetadata
    spec: PlaybookSpec


def plain(spec: PlaybookSpec) -> dict[str, Any]:
    """As it is stored and shown."""
    return spec.model_dump(mode="json")
