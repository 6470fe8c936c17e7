"""What to do about each kind of problem."""

from __future__ import annotations

from productops.api.problems import Kind

_BY_STATUS = {
    400: "Send a body that is whole and readable; the detail says what could not be read.",
    401: "Send `Authorization: Bearer <token>` with a token that is valid now. The token of a local installation is in its home folder.",
    403: "Ask somebody who may give grants for one of the roles the detail names, or have somebody do it who holds one.",
    404: "Check the name or id; the detail names what is known. What you may not see answers the same.",
    405: "Use one of the methods that the `Allow` header names.",
    408: "Send the body at once, or check the network between you and the API.",
    409: "Read the present state again and decide anew; the detail says what stands in the way.",
    412: "Read it again, look at what changed, and send your change with the new ETag in `If-Match`.",
    413: "Send less: split the request, or leave out what is not needed.",
    415: "Send JSON with `Content-Type: application/json`.",
    422: "Change the request: `errors` names each field and what is wrong with it. Repeating it as it is will not help.",
    424: "Look into the logs of what was being started; the detail has its last lines. Then release a version that starts.",
    428: "Send `If-Match` with the ETag you read.",
    429: "Wait as long as `Retry-After` says, then repeat.",
    500: "Report it with the request id; the server's log has the reason under it. Nothing is known to have been changed.",
    502: "Repeat it; if it stays, look after the outside system that the detail names.",
    503: "Wait as long as `Retry-After` says and repeat the same request; nothing was changed.",
}
_BY_SLUG = {
    "already-live": "Nothing to do: users have this version. Ask for another version if that is not what you meant.",
    "already-running": "Use the stack that runs (`productops status`), or end it with `productops down` first.",
    "audit-broken": "Keep the database as it is, run `productops audit verify`, and compare with the anchors kept elsewhere.",
    "budget-spent": "Roll back what burned it, or have a release manager allow the release that mends it (`productops slo allow`).",
    "busy": "Close streams that nobody reads, or wait and connect again; `Last-Event-ID` goes on where you were.",
    "calendar-invalid": "Correct the calendar at the place the detail names; until then its last good copy holds.",
    "calendar-source-failed": "Check the calendar's file or address; until it answers, its last good copy holds.",
    "candidate-unhealthy": "Read the last lines of its log in the detail; release a version that answers its health check.",
    "catalog-invalid": "Correct the file at the line the detail names and apply again.",
    "change-frozen": "Wait until `next_at`, ask with `start: next-window`, or ask for a bypass and have somebody else approve it.",
    "dependency-cycle": "Take one dependency out of the circle that `cycle` names.",
    "development-source-busy": "Wait: the next run goes on where this one stopped. If it stays, a token with a higher limit helps.",
    "development-source-failed": "Check the source's address, projects and token in the catalog; what was read before stays.",
    "downgrade": "Roll back the release that brought the newer version, or insist with `force_downgrade: true`.",
    "flag-killed": "Find out why it was killed, revive it, then ramp it.",
    "idempotency-in-flight": "Repeat the same request with the same key after `Retry-After`; you will get the first one's answer.",
    "idempotency-key-reused": "Use a new key for a new request; a key stands for one request for a day.",
    "illegal-transition": "Read the release: its phase does not allow this any more. See the states page for what each phase allows.",
    "series-limit": "Leave out tags whose values never repeat (ids of requests, times), or raise PRODUCTOPS_SERIES_MAX.",
    "impossible-plan": "Give up one of what `conflict` names: move a deadline, drop a dependency, or add a person.",
    "lease-lost": "Nothing: users have the baseline. Start a new release.",
    "metric-source-busy": "Ask the source less often (`metrics` in the connections file), or raise its limit.",
    "metric-source-failed": "Check the metric source's address and credentials in the connections file.",
    "not-running": "Start the stack with `productops up`.",
    "orchestrator-failed": "Look after the Prefect server. What was written is kept and started once it answers; repeating is safe.",
    "port-taken": "Set PRODUCTOPS_PORT_BASE to another port, or end the other program.",
    "quality-gate": "Hand the version's reports in (`productops quality validate`), mend what the gates name, or have it waived.",
    "quarantined": "Release a newer version, or insist with `lift_quarantine: true` once you know why it was rolled back.",
    "release-in-flight": "Wait for the release that the detail names, or roll it back.",
    "router-failed": "Look at the router's log and `productops status`; the router keeps its last configuration meanwhile.",
    "self-approval": "Have somebody else approve it.",
    "settings-invalid": "Correct the variable that the detail names.",
    "store-unavailable": "Wait as long as `Retry-After` says and repeat. If it stays: is the database up, is its disk full?",
    "taken-over": "Nothing: another flow run carries the release on.",
    "unsupported": "Use a strategy the router here can do, or connect one that can; `missing` names each thing.",
}


def what_to_do(kind: Kind) -> str:
    """A sentence for whoever got this problem."""
    return _BY_SLUG.get(kind.slug) or _BY_STATUS.get(kind.status) or _BY_STATUS[500 if kind.status >= 500 else 422]
