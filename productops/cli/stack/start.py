"""``productops up``: checks first, then starts everything, then stays until it is asked to end."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection

from productops.adapters.token_file import token_path
from productops.cli.stack import postgres
from productops.cli.stack.children import Child
from productops.cli.stack.home import prepare_home, resolved
from productops.cli.stack.login_link import HINT, told_link
from productops.cli.stack.output import last_lines
from productops.cli.stack.ports import check_ports
from productops.cli.stack.prefect_environment import shown_url
from productops.cli.stack.processes import Belonging, HomeProcesses
from productops.cli.stack.signals import Wakeups, subreaper
from productops.cli.stack.specs import ProcessSpec, stack_specs
from productops.cli.stack.state import (
    Phase,
    StackRecord,
    read_state,
    remove_state,
    shown_settings,
    stack_urls,
    take_lock,
    write_state,
)
from productops.cli.stack.supervisor import Supervisor
from productops.errors import ProductOpsError, StackError
from productops.settings import Settings

READY_S = 60.0
_POSTGRES_READY_S = 30.0
_LEFTOVER_GRACE_S = 3.0
_LOUD_DEATHS = 3

Say = Callable[[str], None]
MakeSpecs = Callable[[Settings], Sequence[ProcessSpec]]
Finish = Callable[[], None]
BeginMigration = Callable[[str], Finish]


def say(text: str) -> None:
    """To the terminal, which may have been closed meanwhile."""
    try:
        print(text, flush=True)
    except OSError:
        # The interpreter flushes standard output once more when it ends; that must not fail as well.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def begin_migration(url: str) -> Finish:
    """Begin to bring the store to the schema this version needs, in a process of its own: what that imports (60 MB) goes with it.

    The returned function waits for its end. It raises SettingsError for a schema newer than this version, StoreUnavailableError, and
    StackError when it fails otherwise.
    """
    context = get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_migrate, args=(url, there), name="migration")
    process.start()
    there.close()

    def finish() -> None:
        with here:
            try:
                outcome = here.recv()
            except EOFError:
                outcome = "it was killed"
        process.join()
        if isinstance(outcome, ProductOpsError):
            raise outcome
        if outcome is not None:
            raise StackError(f"the migration of the database {shown_url(url)} failed: {outcome}")

    return finish


def _migrate(url: str, answer: Connection) -> None:
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    try:
        from productops.store.migrate import upgrade

        upgrade(url)
    except ProductOpsError as error:
        answer.send(error)
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent must hear of it
        answer.send(f"{type(error).__name__}: {error}")
    else:
        answer.send(None)


class Stack:
    """A stack from its lock to its end, for a process that does nothing else: all its children are taken for the stack's and ended.

    What the stack consists of, and the migration of its store, can be replaced.
    """

    def __init__(
        self, settings: Settings, *, make_specs: MakeSpecs = stack_specs, begin_migration: BeginMigration = begin_migration, say: Say = say
    ) -> None:
        self.settings = resolved(settings)
        self._home = self.settings.home
        self._make_specs = make_specs
        self._begin_migration = begin_migration
        self._say = say
        self._phase: Phase = "starting"
        self._processes = HomeProcesses(self._home)
        self._wakeups = Wakeups()
        self._supervisor = Supervisor(self._home, self._wakeups, self._write, self._tell_death)
        self._started = 0.0

    def run(self, *, with_postgres: bool = False) -> None:
        """Returns after an end that was asked for and left nothing behind.

        Raises: AlreadyRunningError, PortTakenError, SettingsError, StoreUnavailableError before anything was started; StackError when
        something cannot be started or ended.
        """
        began = time.monotonic()
        prepare_home(self._home)
        with take_lock(self._home), self._wakeups:
            self._started = self._processes.started(os.getpid())
            self._end_leftovers()
            check_ports(self.settings)
            with subreaper():
                try:
                    self._write()
                    self._start(began, with_postgres=with_postgres)
                    self._supervisor.run()
                finally:
                    self._end()

    def _end_leftovers(self) -> None:
        """What a killed supervisor left. Instances stay: the new agent adopts them, and their users notice nothing."""
        found = [each for each in self._processes.find(read_state(self._home)) if each.kind == "stack"]
        if not found:
            return
        self._say(f"an earlier stack in {self._home} was killed; ending what it left: {_names(found)}")
        killed = self._processes.end(found, grace_s=_LEFTOVER_GRACE_S)
        if killed:
            self._say(f"had to be killed: {_names(killed)}")

    def _start(self, began: float, *, with_postgres: bool) -> None:
        """Stops where it is as soon as somebody asks for the end."""
        if with_postgres:
            self._start_postgres()
        specs = self._make_specs(self.settings)
        for spec in specs:
            spec.command()  # what cannot run on this machine is an error now, not something to try again and again
        finish_migration = self._begin_migration(self.settings.sqlalchemy_url)
        self._supervisor.start(spec for spec in specs if spec.early)
        self._finish(finish_migration)
        if self._supervisor.end_requested:
            return
        self._supervisor.start(spec for spec in specs if not spec.early)
        if self._wait_ready():
            self._phase = "running"
            self._write()
            self._tell_ready(time.monotonic() - began)

    def _finish(self, migration: Finish) -> None:
        try:
            migration()
        except StackError:
            if not self._supervisor.end_requested:
                raise  # else a Ctrl-C, which reaches the migration as well, ended it; it is one transaction

    def _wait_ready(self) -> bool:
        names = list(self._supervisor.children)
        if self._supervisor.wait_ready(names, timeout_s=READY_S):
            return True
        if self._supervisor.end_requested:
            return False
        self._tell_late()
        return self._supervisor.wait_ready(names, timeout_s=float("inf"))

    def _start_postgres(self) -> None:
        cluster = postgres.cluster_of(self.settings)
        urls = {"database_url": cluster.url("productops").replace("postgresql:", "postgresql+psycopg:", 1)}
        if self.settings.prefect_database_url == "" and cluster.serves_prefect:
            urls["prefect_database_url"] = cluster.url("prefect")
        elif self.settings.prefect_database_url == "":
            self._say("Prefect stays on SQLite: it needs the extension pg_trgm, which this PostgreSQL does not have")
        postgres.prepare(cluster)
        self.settings = self.settings.model_copy(update=urls)
        self._supervisor.start([postgres.postgres_spec(self.settings, cluster)])
        if not self._supervisor.wait_ready(["postgres"], timeout_s=_POSTGRES_READY_S):
            if self._supervisor.end_requested:
                return
            raise StackError("PostgreSQL does not start: " + " | ".join(last_lines(self._supervisor.children["postgres"].log, 5)))
        postgres.make_databases(cluster)

    def _end(self) -> None:
        asked = self._wakeups.end_signal
        if asked:
            self._say(f"\n{asked}: ending the stack (again: kill it at once)")
        began = time.monotonic()
        self._phase = "stopping"
        self._write()
        left = self._supervisor.stop(instance_grace_s=min(self.settings.stop_grace_s, 2.0))
        if left:
            raise StackError(f"these processes could not be ended: {_names(left)}; the state stays in {self._home / 'run'}")
        remove_state(self._home)
        if self._supervisor.children:
            self._say(f"ended in {time.monotonic() - began:.1f} s; nothing is left running")

    def _write(self) -> None:
        # A full disk must not end the stack: the router goes on without a record.
        with suppress(OSError):
            write_state(
                StackRecord(
                    pid=os.getpid(),
                    started=self._started,
                    phase=self._phase,
                    home=str(self._home),
                    urls=stack_urls(self.settings),
                    settings=shown_settings(self.settings),
                    processes=[child.record() for child in self._supervisor.children.values()],
                )
            )

    def _tell_death(self, child: Child) -> None:
        if child.deaths_in_row > _LOUD_DEATHS and child.deaths_in_row % 10:
            return
        again = max(0.0, (child.due or 0.0) - time.monotonic())
        when = f"in {again:.1f} s" if again else "at once"
        self._say(f"{child.spec.name} ended ({child.last_exit}); it is started again {when} ({child.log})")
        if child.last_exit.startswith("exit") and child.deaths_in_row == _LOUD_DEATHS:
            for line in last_lines(child.log, 5):
                self._say(f"  {child.spec.name}: {line[:300]}")

    def _tell_late(self) -> None:
        late = [child for child in self._supervisor.children.values() if child.state != "running"]
        self._say(f"not ready after {READY_S:.0f} s, still trying: {', '.join(child.spec.name for child in late)}")
        for child in late:
            for line in last_lines(child.log, 5):
                self._say(f"  {child.spec.name}: {line[:300]}")

    def _tell_ready(self, took_s: float) -> None:
        from productops.cli.stack.tables import ready_table  # here: the tables cost 0.1 s that the start need not wait for

        self._say(ready_table([child.record() for child in self._supervisor.children.values()]))
        self._say(f"ready in {took_s:.1f} s · supervisor {os.getpid()} · home {self._home} · catalog {self.settings.catalog}")
        for name, url in stack_urls(self.settings).items():
            self._say(f"  {name:<8} {url}")
        self._say(f"  token    in {token_path(self._home)} (Authorization: Bearer …)")
        # A link in a log file would be a way in for whoever reads the log.
        self._say(f"  log in   {told_link(self.settings) if sys.stdout.isatty() else HINT}")
        self._say("Ctrl-C or `productops down` ends everything")


def _names(processes: Sequence[Belonging]) -> str:
    return ", ".join(str(each) for each in processes)
