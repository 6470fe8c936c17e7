"""The status page as HTML without scripts, and as feeds. Everything that is written was published, and is escaped."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from html import escape
from typing import Final

from productops.domain.incident_status_page import PublicComponent, PublicDay, PublicIncident, PublicPage, PublicWords
from productops.domain.incident_updates import Harm

STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}"
    "h1{margin-bottom:.2rem}h2{margin-top:2.5rem}.said{padding:.8rem 1rem;border-radius:.4rem;font-weight:600;color:#fff}"
    ".operational{background:#1b7f3b}.degraded-performance{background:#8a6100}.partial-outage{background:#b34a00}"
    ".major-outage{background:#b00020}.part{border-top:1px solid #8884;padding:.8rem 0}.part p{margin:.1rem 0;display:flex;"
    "justify-content:space-between}.days{display:block;width:100%;height:1.6rem}.none{fill:#8886}.good{fill:#1b7f3b}.fair{fill:#b38600}"
    ".poor{fill:#b34a00}.bad{fill:#b00020}.small{font-size:.85em;opacity:.8}article{border-left:.3rem solid #8888;padding-left:1rem;"
    "margin:1.2rem 0}article h3{margin:.2rem 0}pre{white-space:pre-wrap;font:inherit;margin:0}"
    "@media(prefers-color-scheme:dark){body{color:#eee;background:#16181d}a{color:#8ab4f8}}"
)
CSP: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_WORDS: Final = {
    Harm.OPERATIONAL: "operational", Harm.DEGRADED: "degraded performance", Harm.PARTIAL: "partial outage", Harm.MAJOR: "major outage",
}  # fmt: skip
_ATOM: Final = "http://www.w3.org/2005/Atom"


def page_html(page: PublicPage) -> str:
    """The whole document."""
    parts = "".join(_component(each) for each in page.components)
    current = "".join(_incident(each) for each in page.current)
    past = "".join(_incident(each) for each in page.past) or "<p>No incidents were published in the last 14 days.</p>"
    about = f"<p>{escape(page.description)}</p>" if page.description else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(page.title)}</title><style>{STYLE}</style>"
        '<link rel="alternate" type="application/atom+xml" href="feed.atom">'
        '<link rel="alternate" type="application/rss+xml" href="feed.rss">'
        f"</head><body><main><h1>{escape(page.title)}</h1>{about}"
        f'<p role="status" class="said {page.harm.value}">{escape(page.said)}</p>{current}'
        f"<section><h2>Components</h2>{parts}</section><section><h2>Past incidents</h2>{past}</section></main>"
        '<footer class="small"><p>All times are UTC. A day counts minutes with traffic in which requests were answered. '
        '<a href="feed.atom">Atom</a> · <a href="feed.rss">RSS</a> · <a href="summary.json">JSON</a></p></footer></body></html>'
    )


def _component(component: PublicComponent) -> str:
    uptime = "no traffic yet" if component.uptime is None else f"{component.uptime:.3%} of minutes in 90 days"
    return (
        f'<div class="part"><p><b>{escape(component.name)}</b><span>{_WORDS[component.harm]}</span></p>{_days(component)}'
        f'<p class="small"><span>90 days ago</span><span>{uptime}</span><span>today</span></p></div>'
    )


def _days(component: PublicComponent) -> str:
    count = len(component.days)
    bars = "".join(
        f'<rect class="{_shade(day)}" x="{4 * place}" y="0" width="3" height="24"><title>{_day_words(day)}</title></rect>'
        for place, day in enumerate(component.days)
    )
    label = escape(f"{component.name}: uptime by day")
    return f'<svg class="days" viewBox="0 0 {4 * count} 24" preserveAspectRatio="none" role="img" aria-label="{label}">{bars}</svg>'


def _shade(day: PublicDay) -> str:
    if day.ratio is None:
        return "none"
    return "good" if day.ratio >= 0.999 else "fair" if day.ratio >= 0.99 else "poor" if day.ratio >= 0.95 else "bad"


def _day_words(day: PublicDay) -> str:
    if day.ratio is None:
        return f"{day.day}: no traffic"
    return f"{day.day}: {day.ratio:.2%}, {day.minutes_down} min down"


def _incident(incident: PublicIncident) -> str:
    words = "".join(_update(each) for each in incident.updates)
    concerned = f'<p class="small">Concerns: {escape(", ".join(incident.components))}</p>' if incident.components else ""
    return f'<article id="{incident.id}"><h3>{escape(incident.title)}</h3>{concerned}{words}</article>'


def _update(words: PublicWords) -> str:
    at = f'<time datetime="{words.at.astimezone(UTC).isoformat()}">{words.at.astimezone(UTC):%Y-%m-%d %H:%M}</time>'
    return f'<p class="small"><b>{escape(words.word.value)}</b> · {at}</p><pre>{escape(words.text)}</pre>'


def _newest(page: PublicPage) -> Iterator[tuple[PublicIncident, PublicWords]]:
    """Updates of all incidents, newest first, at most a hundred."""
    told = [(incident, words) for incident in (*page.current, *page.past) for words in incident.updates]
    yield from sorted(told, key=lambda each: (each[1].at, each[1].id), reverse=True)[:100]


def atom_feed(page: PublicPage, address: str) -> bytes:
    """Atom (RFC 4287): an entry for each update. ``address`` is that of the page."""
    ET.register_namespace("", _ATOM)
    feed = ET.Element(f"{{{_ATOM}}}feed")
    _text(feed, "title", page.title)
    _text(feed, "id", address)
    _text(feed, "updated", _iso(page.changed_at or datetime(2000, 1, 1, tzinfo=UTC)))
    ET.SubElement(feed, f"{{{_ATOM}}}link", {"href": address})
    _text(ET.SubElement(feed, f"{{{_ATOM}}}author"), "name", page.title)
    for incident, words in _newest(page):
        entry = ET.SubElement(feed, f"{{{_ATOM}}}entry")
        _text(entry, "title", f"{incident.title}: {words.word.value}")
        _text(entry, "id", f"urn:uuid:{words.id}")
        _text(entry, "updated", _iso(words.at))
        ET.SubElement(entry, f"{{{_ATOM}}}link", {"href": f"{address}#{incident.id}"})
        _text(entry, "content", words.text)
    return bytes(ET.tostring(feed, encoding="utf-8", xml_declaration=True))


def rss_feed(page: PublicPage, address: str) -> bytes:
    """RSS 2.0: an item for each update."""
    rss = ET.Element("rss", {"version": "2.0"})
    channel = ET.SubElement(rss, "channel")
    for name, value in (("title", page.title), ("link", address), ("description", page.description or page.title)):
        ET.SubElement(channel, name).text = _clean(value)
    for incident, words in _newest(page):
        item = ET.SubElement(channel, "item")
        ET.SubElement(item, "title").text = _clean(f"{incident.title}: {words.word.value}")
        ET.SubElement(item, "link").text = f"{address}#{incident.id}"
        ET.SubElement(item, "description").text = _clean(words.text)
        ET.SubElement(item, "pubDate").text = format_datetime(words.at.astimezone(UTC), usegmt=True)
        ET.SubElement(item, "guid", {"isPermaLink": "false"}).text = words.id
    return bytes(ET.tostring(rss, encoding="utf-8", xml_declaration=True))


def _text(parent: ET.Element, name: str, text: str) -> None:
    ET.SubElement(parent, f"{{{_ATOM}}}{name}").text = _clean(text)


def _clean(text: str) -> str:
    """Without what XML has no place for."""
    return "".join(c for c in text if c in "\t\n" or c >= " ")


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()
