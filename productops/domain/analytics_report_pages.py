"""The weekly report as text, Markdown and HTML. The HTML has no script and loads nothing; all that comes from outside is escaped. Pure."""

from __future__ import annotations

from html import escape

from productops.domain.analytics_report import ReportFigure, ReportSection, WeeklyReport

_STYLE = (
    "body{font:15px/1.45 system-ui,sans-serif;max-width:46rem;margin:1.5rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}"
    "h1{font-size:1.35rem;margin:0 0 .6rem}h2{font-size:1rem;margin:1rem 0 .2rem;border-bottom:1px solid #ccc}"
    "table{border-collapse:collapse;width:100%}td{padding:.12rem .5rem .12rem 0;vertical-align:top}td.v{white-space:nowrap;font-weight:600}"
    "td.c,p.g,footer{color:#555}ul{margin:.2rem 0;padding-left:1.2rem}p{margin:.2rem 0}"
    "@media(prefers-color-scheme:dark){body{color:#eee;background:#16181d}td.c,p.g,footer{color:#aaa}a{color:#8ab4f8}}"
)
GAP = "Nothing measured."


def as_text(report: WeeklyReport) -> str:
    """For a terminal and the plain part of a mail; at most 100 columns where names are short."""
    lines = [report.title, "=" * len(report.title), *(f"* {each}" for each in report.headlines), ""]
    for section in report.sections:
        lines.append(section.title.upper())
        if section.empty:
            lines.append(f"  {section.gap or GAP}")
        else:
            lines += [f"  {f.name:<36} {f.written:>18}  {f.change}{_note(f)}".rstrip() for f in section.figures]
            lines += [f"  - {each}" for each in section.sentences]
        lines.append("")
    return "\n".join([*lines, _foot(report)]) + "\n"


def as_markdown(report: WeeklyReport, *, base: str = "") -> str:
    """For Prefect; ``base`` goes before links."""
    parts = [f"# {_plain(report.title)}", "", *(f"- {_plain(each)}" for each in report.headlines), ""]
    for section in report.sections:
        parts += [f"## {section.title}", ""]
        if section.empty:
            parts += [f"*{_plain(section.gap or GAP)}*", ""]
            continue
        if section.figures:
            parts += ["| | this week | change |", "|---|---|---|"]
            parts += [f"| {_link(f, base)} | {f.written} | {_plain(f.change + _note(f))} |" for f in section.figures]
            parts.append("")
        parts += [f"- {_plain(each)}" for each in section.sentences]
        parts.append("")
    return "\n".join([*parts, f"*{_foot(report)}*"]) + "\n"


def as_html(report: WeeklyReport, *, base: str = "") -> str:
    """A whole page; ``base`` goes before links, so that they work in a mail."""
    heads = "".join(f"<li>{escape(each)}</li>" for each in report.headlines)
    parts = [f"<h1>{escape(report.title)}</h1>", f"<ul>{heads}</ul>" if heads else ""]
    parts += [_html_section(section, base) for section in report.sections]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(report.title)}</title><style>{_STYLE}</style></head><body>{''.join(parts)}"
        f"<footer><p>{escape(_foot(report))}</p></footer></body></html>"
    )


def _html_section(section: ReportSection, base: str) -> str:
    if section.empty:
        return f'<h2>{escape(section.title)}</h2><p class="g">{escape(section.gap or GAP)}</p>'
    rows = "".join(
        f'<tr><td>{_html_link(f, base)}</td><td class="v">{escape(f.written)}</td><td class="c">{escape(f.change + _note(f))}</td></tr>'
        for f in section.figures
    )
    said = "".join(f"<li>{escape(each)}</li>" for each in section.sentences)
    table = f"<table>{rows}</table>" if rows else ""
    return f"<h2>{escape(section.title)}</h2>{table}" + (f"<ul>{said}</ul>" if said else "")


def _html_link(figure: ReportFigure, base: str) -> str:
    return f'<a href="{escape(base + figure.link, quote=True)}">{escape(figure.name)}</a>' if figure.link else escape(figure.name)


def _link(figure: ReportFigure, base: str) -> str:
    return f"[{_plain(figure.name)}]({base}{figure.link.replace(')', '%29')})" if figure.link else _plain(figure.name)


def _plain(text: str) -> str:
    """Without what Markdown would read as more than text."""
    for sign in ("\\", "`", "*", "_", "[", "]", "<", ">", "|", "#"):
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())


def _note(figure: ReportFigure) -> str:
    return f" ({figure.note})" if figure.note else ""


def _foot(report: WeeklyReport) -> str:
    state = "" if report.whole else " The week is not over: figures will change."
    return f"Made {report.made_at:%Y-%m-%d %H:%M} UTC by ProductOps; changes are against the week before.{state}"
