"""The one HTML page of the shop."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from .catalogue import Product

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.4rem;border-bottom:1px solid #ccc}"
    "td:last-child,th:last-child{text-align:right}"
    "@media(prefers-color-scheme:dark){body{color:#eee;background:#181818}th,td{border-color:#444}}"
)
_SEARCH = '<form action="/api/search"><label>Search <input name="q" required maxlength="100"></label> <button>Find</button></form>'


@lru_cache(maxsize=4)
def catalogue_page(version: str, products: Sequence[Product], *, with_search: bool) -> bytes:
    """The catalogue with the version in its title; names come from our own source, so nothing needs escaping."""
    rows = "".join(
        f'<tr><td><a href="/api/products/{p.id}">{p.name}</a><br><small>{p.description}</small></td>'
        f"<td>{p.price_cents // 100}.{p.price_cents % 100:02d}</td></tr>"
        for p in products
    )
    search = _SEARCH if with_search else ""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Storefront {version}</title><style>{_STYLE}</style>"
        f'<h1>Storefront</h1><p>Version <strong id="version">{version}</strong></p>{search}'
        f"<table><thead><tr><th>Product<th>Price</thead><tbody>{rows}</tbody></table></html>\n"
    ).encode()
