"""Markdown that people wrote, as an HTML page: tables and lists, no HTML of theirs, no pictures from elsewhere, no scripts."""

from __future__ import annotations

from functools import cache
from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}"
    "table{border-collapse:collapse;margin:1rem 0;display:block;overflow-x:auto}td,th{border:1px solid #999;padding:.3rem .6rem;"
    "text-align:left;vertical-align:top}code{background:#f2f2f2;padding:.1em .3em;border-radius:3px}"
    "@media(prefers-color-scheme:dark){body{color:#eee;background:#16181d}code{background:#2a2d34}a{color:#8ab4f8}}"
)


def markdown_page(title: str, text: str) -> str:
    """A whole document. Links lead to http, https and mailto only."""
    content = str(_reader().render(text))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>{content}</main></body></html>"
    )


@cache
def _reader() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False, "linkify": False}).enable("table").disable("image")
