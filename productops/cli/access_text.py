"""Tables and sentences of access for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from productops.cli.release_text import plain
from productops.cli.stack.tables import render


def grant_text(grant: Mapping[str, Any]) -> str:
    """A grant in words."""
    where = "all ventures" if grant["venture"] == "*" else f"venture {plain(grant['venture'])}"
    return f"{grant['role']} in {where}" + ("" if grant["environment"] == "*" else f", {grant['environment']}")


def caller_page(caller: Mapping[str, Any]) -> str:
    """Who one is."""
    through = {"installation": "the installation's token", None: "a session"}.get(caller["token_id"], f"token {caller['token_id']}")
    lines = [f"{plain(caller['name'])} ({caller['kind']}), through {through}"]
    lines += [f"  {grant_text(grant)}" for grant in caller["grants"]] or ["  nothing is granted"]
    if caller["operations"] is not None:
        lines.append(f"  only for {', '.join(caller['operations'])}")
    return "\n".join(lines)


def people_table(people: Sequence[Mapping[str, Any]], groups: Sequence[Mapping[str, Any]]) -> str:
    """A line for each grant of everybody, and of every group."""
    rows = []
    for person in people:
        state = "disabled" if person["disabled"] else "declared" if person["declared_in"] else ""
        rows += _lines(plain(person["name"]), person["kind"], person["grants"], state)
    for group in groups:
        rows += _lines(plain(group["name"]), "group", group["grants"], "")
    if not rows:
        return "nobody yet but the owner of the installation; give somebody a role with: productops access grant NAME ROLE"
    return render(("who", "what", "may", "by", "until", ""), rows)


def _lines(name: str, kind: str, grants: Sequence[Mapping[str, Any]], state: str) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for grant in grants:
        by = f"group {plain(grant['group'])}" if grant["group"] and kind != "group" else plain(grant["given_by"])
        until = str(grant["expires_at"] or "")[:16].replace("T", " ")
        found.append((name, kind, grant_text(grant), by, until, state or ("declared" if grant["declared"] else "")))
    return found or [(name, kind, "nothing", "", "", state)]


def tokens_table(tokens: Sequence[Mapping[str, Any]]) -> str:
    """A line for each token."""
    if not tokens:
        return "no tokens; make one with: productops token create NAME"
    rows = [
        (
            token["id"], plain(token["owner"]), plain(token["name"]), token["state"], _scope(token),
            str(token["expires_at"])[:10], str(token["last_used_at"] or "never")[:16].replace("T", " "),
        )
        for token in tokens
    ]  # fmt: skip
    return render(("id", "owner", "name", "state", "for", "expires", "used (UTC)"), rows)


def _scope(token: Mapping[str, Any]) -> str:
    what = "all that the owner may do" if token["operations"] is None else ", ".join(token["operations"])
    where = [plain(token[name]) for name in ("venture", "environment") if token[name] != "*"]
    return what + (f" in {', '.join(where)}" if where else "")


def secret_text(made: Mapping[str, Any]) -> str:
    """A new secret: this once."""
    token = made["token"]
    return (
        f"token {token['id']} of {plain(token['owner'])} ({plain(token['name'])}), until {str(token['expires_at'])[:10]}\n"
        f"{made['secret']}\n"
        "keep it now: it is shown this once. Commands take it from PRODUCTOPS_TOKEN, or from the file PRODUCTOPS_TOKEN_FILE names"
    )
