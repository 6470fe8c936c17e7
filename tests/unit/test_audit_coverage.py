"""No use case and no thread of the agent writes without a word to the audit log; what is exempt says why."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import productops

ROOT = Path(productops.__file__).parent
COUNTED = "a sample of something that goes on; it has rows of its own"
BEAT = "a sign of life, every few seconds"
RETENTION = "forgets what the retention says is to be forgotten; nobody decided anything"
RUNS = "who carries work out is bookkeeping; what it did is an entry"
DELIVERY = "bookkeeping of deliveries; what is delivered was told when it was done"
KEYS = "answers of repeated requests; the first one was told"
DERIVED = "a copy of what is stored already"
FILES = "files of events are sorted, merged and deleted; what they hold stays as it is, and an erasure is told when it ends"
COUNTS = "counts of usage events, which are no change that anybody makes"
SESSIONS = "steps of a log-in that has not succeeded; the log-in is told when it has"

# file and function → why its transactions need no entry
EXEMPT = {
    "usecases/monitoring_metrics.py:take_metrics": COUNTED,
    "usecases/monitoring_processes.py:_run": BEAT,
    "usecases/monitoring_processes.py:turn": RETENTION,
    "usecases/incident_start.py:attend_incident": BEAT,  # which flow run follows a response; its beginning has an entry
    "usecases/monitoring_sources.py:_store": COUNTED,
    "usecases/monitoring_series.py:put_points": COUNTED,
    "usecases/monitoring_series.py:_learn": COUNTED,
    "usecases/monitoring_collect_slow.py:_note": BEAT,
    "usecases/monitoring_series_tidy.py:_store_rows": DERIVED,
    "usecases/monitoring_series_tidy.py:_store_shard": DERIVED,
    "usecases/monitoring_series_tidy.py:_mark_silent": COUNTED,
    "usecases/monitoring_series_tidy.py:_forget": RETENTION,
    "usecases/release_judge.py:_look": COUNTED,
    "usecases/release_flags_serve.py:flush": COUNTED,
    "usecases/governance_access_tokens.py:note_used": COUNTED,
    "usecases/governance_sessions.py:note_use": COUNTED,
    "usecases/monitoring_slo_count.py:_keep": COUNTED,
    "usecases/monitoring_slo_evaluate.py:_count_minutes": COUNTED,
    "usecases/monitoring_slo_evaluate.py:evaluate_objectives": COUNTED,
    "usecases/monitoring_slo_evaluate.py:recount": COUNTED,
    "usecases/monitoring_rules_evaluate.py:evaluate_rules": COUNTED,
    "usecases/monitoring_slo.py:tidy_objectives": RETENTION,
    "usecases/monitoring_detect.py:_tell": DELIVERY,
    "usecases/monitoring_detect_heartbeats.py:beat": BEAT,
    "usecases/monitoring_detect_series.py:save": COUNTED,
    "usecases/monitoring_detect_services.py:save": COUNTED,
    "usecases/monitoring_detect_silence.py:turn": COUNTED,
    "agent/watch.py:write": BEAT,
    "agent/meter.py:_store": COUNTED,
    "agent/meter.py:_store_differences": COUNTED,
    "usecases/release_run.py:_await_candidate": BEAT,
    "usecases/release_run.py:beat": BEAT,
    "usecases/release_run.py:__call__": BEAT,
    "usecases/release_train_advance.py:follow_train": BEAT,
    "usecases/quality_release.py:_alive": BEAT,
    "usecases/quality_release.py:tell": BEAT,
    "agent/election.py:run": BEAT,
    "usecases/release_flags.py:forget_old_counts": RETENTION,
    "usecases/release_reconcile.py:clean_up": RETENTION,
    "usecases/governance_outbox.py:forget_delivered": RETENTION,
    "usecases/governance_webhooks_process.py:forget_received": RETENTION,
    "usecases/rest_idempotency.py:forget_answers": RETENTION,
    "usecases/run_claims.py:claim_run": RUNS,
    "usecases/run_claims.py:note_process": RUNS,
    "usecases/run_claims.py:forget_unstarted": RUNS,
    "usecases/run_claims.py:mark_buried": RUNS,
    "usecases/run_claims.py:give_up_claim": RUNS,
    "usecases/governance_outbox.py:claim_due": DELIVERY,
    "usecases/governance_outbox.py:_failed": DELIVERY,
    "usecases/governance_outbox.py:free_dead_senders": DELIVERY,
    "usecases/governance_changes_report.py:report_changes": DELIVERY,
    "usecases/governance_webhooks_process.py:_process_claimed": DELIVERY,
    "usecases/governance_webhooks_process.py:free_dead_processors": DELIVERY,
    "usecases/quality_uploads.py:judge_waiting": DELIVERY,
    "usecases/development_plan.py:make_waiting": RUNS,
    "usecases/quality_uploads.py:_renewed": BEAT,
    "usecases/quality_uploads.py:renew": BEAT,
    "usecases/development_sync_run.py:wait": BEAT,
    "usecases/development_sync_run.py:_guarded": DERIVED,
    "usecases/development_sync_run.py:_read_stream": DERIVED,
    "usecases/development_sync_run.py:_comb": DERIVED,
    "usecases/development_sync_run.py:_bury": DERIVED,
    "usecases/development_sync_run.py:_read_details": DERIVED,
    "usecases/development_sync_webhooks.py:_store": DERIVED,
    "usecases/analytics_events.py:flush_refusals": COUNTS,
    "usecases/analytics_events_erase.py:_erase": FILES,
    "usecases/analytics_events_folder.py:give_back": FILES,
    "usecases/analytics_events_folder.py:take_lease": FILES,
    "usecases/analytics_events_sort.py:_count": FILES,
    "usecases/analytics_events_tidy.py:delete_replaced": FILES,
    "usecases/analytics_events_tidy.py:merge_some": FILES,
    "usecases/analytics_events_tidy.py:tidy": FILES,
    "usecases/analytics_usage_refresh.py:_count": COUNTS,
    "usecases/analytics_usage_refresh.py:_forget": COUNTS,
    "usecases/analytics_usage_refresh.py:_periods": COUNTS,
    "usecases/incident_status_page.py:count_uptime": COUNTED,
    "usecases/incident_tell_send.py:_send": DELIVERY,
    "usecases/incident_tell_send.py:_deliver": DELIVERY,
    "usecases/monitoring_logs_intake.py:_name": COUNTED,
    "usecases/monitoring_logs_intake.py:_write": COUNTED,
    "usecases/monitoring_logs_alerts.py:_note": DERIVED,
    "usecases/monitoring_logs_tidy.py:forget_old_logs": RETENTION,
    "usecases/monitoring_logs_tidy.py:forget_old_spans": RETENTION,
    "usecases/monitoring_traces_intake.py:_write": COUNTED,
    "usecases/monitoring_traces_own.py:__call__": COUNTED,
    "usecases/rest_idempotency.py:claim_key": KEYS,
    "usecases/rest_idempotency.py:keep_answer": KEYS,
    "usecases/rest_idempotency.py:give_key_back": KEYS,
    "usecases/release_backtest.py:record_release": DERIVED,
    "usecases/incident_respond.py:advance_response": RUNS,
    "usecases/incident_respond.py:_go_on": BEAT,
    "usecases/incident_start.py:follow": RUNS,
    "usecases/governance_sessions.py:begin_attempt": SESSIONS,
    "usecases/governance_security_looks.py:_end": COUNTED,
    "usecases/governance_security_vulnerable.py:_keep": COUNTED,
    "usecases/governance_sessions.py:take_attempt": SESSIONS,
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources() -> dict[str, ast.Module]:
    files = [*sorted((ROOT / "usecases").glob("*.py")), *sorted((ROOT / "agent").glob("*.py"))]
    return {file.relative_to(ROOT).as_posix(): ast.parse(file.read_text(encoding="utf-8")) for file in files}


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def calls(node: ast.AST) -> set[str]:
    """Names of functions, and of methods of ``self`` and of modules, that are called in a piece of code; not of repositories."""
    found = set()
    for call in (each for each in ast.walk(node) if isinstance(each, ast.Call)):
        if isinstance(call.func, ast.Name):
            found.add(call.func.id)
        elif isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name) and call.func.value.id != "unit":
            found.add(call.func.attr)
    return found


def says_so(node: ast.AST) -> bool:
    """Whether a piece of code itself calls ``….audit.add``."""
    for call in (each for each in ast.walk(node) if isinstance(each, ast.Call)):
        if isinstance(call.func, ast.Attribute) and call.func.attr == "add":
            holder = call.func.value
            if (holder.attr if isinstance(holder, ast.Attribute) else getattr(holder, "id", "")) == "audit":
                return True
    return False


class Code:
    """All use cases and the agent, and which of their functions reach the audit log."""

    def __init__(self, trees: dict[str, ast.Module]) -> None:
        self.trees = trees
        self.by_name: dict[str, list[Function]] = {}
        for tree in trees.values():
            for function in functions(tree):
                self.by_name.setdefault(function.name, []).append(function)
        self._known: dict[str, bool] = {}

    def reaches(self, name: str, above: frozenset[str] = frozenset()) -> bool:
        if name in above or name not in self.by_name:
            return False
        if name not in self._known:
            self._known[name] = any(self.audited(each, above | {name}) for each in self.by_name[name])
        return self._known[name]

    def audited(self, node: ast.AST, above: frozenset[str] = frozenset()) -> bool:
        return says_so(node) or any(self.reaches(name, above) for name in calls(node))

    def writes(self) -> Iterator[tuple[str, ast.With]]:
        """Every ``with ….store.write() as unit`` with its place."""
        for file, tree in self.trees.items():
            for function in functions(tree):
                for block in (node for node in ast.walk(function) if isinstance(node, ast.With)):
                    if any(_opens_a_write(item.context_expr) for item in block.items):
                        yield f"{file}:{function.name}", block

    def silent(self) -> set[str]:
        """Places whose transaction says nothing to the audit log, nor does anything it calls."""
        return {place for place, block in self.writes() if not self.audited(block)}


def _opens_a_write(expression: ast.expr) -> bool:
    return isinstance(expression, ast.Call) and isinstance(expression.func, ast.Attribute) and expression.func.attr == "write"


def test_every_transaction_that_writes_adds_an_audit_entry_or_says_why_not():
    code = Code(sources())
    assert sum(1 for _ in code.writes()) > 60, "the walk finds the transactions at all"
    assert code.silent() - EXEMPT.keys() == set(), "add an entry: productops/usecases/governance_audit_note.py, or say why none is needed"


def test_no_exemption_outlives_the_code_it_was_for():
    assert EXEMPT.keys() - Code(sources()).silent() == set()


def test_a_new_write_without_an_entry_is_noticed():
    silent = "def clear(context):\n    with context.store.write() as unit:\n        unit.releases.note('x', fence=0)\n"
    spoken = "def tidy(context):\n    with context.store.write() as unit:\n        _tell(unit)\n\n"
    spoken += "def _tell(unit):\n    unit.audit.add('a', 's')\n"
    code = Code({"usecases/new.py": ast.parse(silent + "\n" + spoken)})
    assert code.silent() == {"usecases/new.py:clear"}
