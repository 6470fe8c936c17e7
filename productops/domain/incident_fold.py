"""What a batch of alerts changes in what is known: new ones, told again, over, or told out of order. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from productops.domain.incident_alert import Alert, AlertState, StoredAlert, is_worse

ONLY_OVER = "it was over when it was told first"
NEW = "just told"


@dataclass(slots=True)
class Episode:
    """One time that an alert fires. ``fresh``: not kept yet. ``began``: Unix seconds of this and earlier beginnings, oldest first.

    ``before``: the incident that the same alert was in the last time. ``worse``: it fires on and means far more harm than when it was
    told last.
    """

    stored: StoredAlert
    began: tuple[float, ...]
    fresh: bool
    before: str | None = None
    changed: bool = False
    worse: bool = False

    @property
    def alert(self) -> Alert:
        """As it was told last."""
        return self.stored.alert

    def set(self, state: AlertState, reason: str, incident_id: str | None = None) -> None:
        """What becomes of it."""
        if (self.stored.state, self.stored.incident_id) == (state, incident_id) and not self.fresh:
            return
        self.stored = replace(self.stored, state=state, reason=reason, incident_id=incident_id)
        self.changed = True


@dataclass(slots=True)
class Folded:
    """The batch worked into what is known. ``newest`` by fingerprint; ``superseded`` began and ended within the batch.

    ``marks`` says of each alert, in order, what it was: ``stored``, ``duplicate`` or ``ended``.
    """

    newest: dict[str, Episode] = field(default_factory=dict)
    superseded: list[Episode] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)


def fold(
    alerts: Sequence[Alert], known: Mapping[str, tuple[StoredAlert, tuple[float, ...]]], *, now: datetime, new_id: Callable[[], str]
) -> Folded:
    """``known``: the newest of each fingerprint with when it began the last times."""
    folded = Folded({name: Episode(stored, began, fresh=False) for name, (stored, began) in known.items()})
    for alert in alerts:
        episode = folded.newest.get(alert.fingerprint)
        if episode is None:
            _begin(folded, alert, None, now=now, new_id=new_id)
        elif alert.firing:
            _fires(folded, episode, alert, now=now, new_id=new_id)
        else:
            _ends(folded, episode, alert, now=now)
    return folded


def _fires(folded: Folded, episode: Episode, alert: Alert, *, now: datetime, new_id: Callable[[], str]) -> None:
    known = episode.alert
    if known.firing:
        told = replace(
            known, severity=alert.severity, summary=alert.summary or known.summary, evidence=alert.evidence or known.evidence,
            value=alert.value,
        )  # fmt: skip
        episode.worse = episode.worse or is_worse(told, known)
        _told_again(folded, episode, replace(episode.stored, alert=told, last_seen_at=now))
    elif known.ends_at is not None and alert.starts_at <= known.ends_at:
        _told_again(folded, episode, episode.stored)  # sent before its end, come after it
    else:
        _begin(folded, alert, episode, now=now, new_id=new_id)


def _ends(folded: Folded, episode: Episode, alert: Alert, *, now: datetime) -> None:
    known = episode.alert
    ends_at = min(alert.ends_at or now, now)
    if not known.firing or ends_at < known.starts_at:
        _told_again(folded, episode, episode.stored)
        return
    over = replace(known, status="resolved", ends_at=ends_at)
    episode.stored = replace(episode.stored, alert=over, received=episode.stored.received + 1, last_seen_at=now)
    episode.changed = True
    folded.marks.append("ended")


def _told_again(folded: Folded, episode: Episode, stored: StoredAlert) -> None:
    episode.stored = replace(stored, received=stored.received + 1)
    episode.changed = True
    folded.marks.append("duplicate")


def _begin(folded: Folded, alert: Alert, earlier: Episode | None, *, now: datetime, new_id: Callable[[], str]) -> None:
    state, reason = (AlertState.LISTED, NEW) if alert.firing else (AlertState.ENDED, ONLY_OVER)
    kept = alert if alert.firing else replace(alert, ends_at=min(alert.ends_at or now, now))
    stored = StoredAlert(new_id(), kept, state, reason, None, 1, now, now)
    began = (*(earlier.began if earlier else ()), alert.starts_at.timestamp()) if alert.firing else (earlier.began if earlier else ())
    if earlier is not None and earlier.fresh:
        folded.superseded.append(earlier)
    before = earlier.stored.incident_id or earlier.before if earlier else None
    folded.newest[alert.fingerprint] = Episode(stored, began, fresh=True, before=before)
    folded.marks.append("stored")
