"""The database on which the pages' SQL is run, as its owner."""

import pathlib
import re
import shlex
import subprocess
import time

import cluster
import page_shell
from page_commands import statements
from page_lists import SQL_PLACEHOLDERS

FOLDER = pathlib.Path(__file__).resolve().parent
PSQL = ["psql", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1"]
# What psql prints if a statement has found nothing to show or to change.
NOTHING = re.compile(r"((UPDATE|DELETE|INSERT 0) 0\n)?")
WAIT_TIMEOUT_S = 30
MOST_REPEATS = 10


class Database:
    """Of the present schema, empty at first. `shell` has PGHOST and PGPORT, `env` also PGUSER and PGDATABASE."""

    def __init__(self, shell, env):
        self._shell, self._env = shell, env
        self._found = ""  # the first column of what the last statement has found
        self._shell.run(f"export PGUSER={env['PGUSER']} PGDATABASE={env['PGDATABASE']}")
        self._shell.run(shlex.join([*PSQL, "-f", str(FOLDER / "page_rows.sql")]))

    def run_block(self, block):
        """Runs each of its statements; each must find something."""
        if "pg_blocking_pids" in block:
            return self._while_others_wait(block)
        if indexes := re.findall(r"CREATE INDEX CONCURRENTLY (\w+)", block):
            return self._without_the_indexes(block, indexes)
        return self._run_all(block)

    def _run_all(self, block):
        for statement in statements(block):
            self._run(statement)

    def _run(self, statement):
        text = re.sub(r"\b[PG]ID\b", lambda _: self._found, statement)
        for placeholder, value in SQL_PLACEHOLDERS.items():
            text = text.replace(placeholder, value)
        output = self._query(text)
        if NOTHING.fullmatch(output):
            raise page_shell.Failed(text, "it finds nothing; does page_rows.sql lack what it is about?", output)
        self._found = output.split("\n")[0].split("|")[0]
        if until := re.search(r"-- until it says (\w+)", statement):
            self._repeat(text, until.group(1))

    def _repeat(self, text, until):
        for _ in range(MOST_REPEATS):
            if (output := self._query(text)) == f"{until}\n":
                return
        raise page_shell.Failed(text, f"it does not say {until}", output)

    def _query(self, text):
        return self._shell.run(shlex.join([*PSQL, "-c", text]))

    def _without_the_indexes(self, block, names):
        """On a schema of before there were the indexes: the block makes the same ones."""
        definitions = [f"SELECT pg_get_indexdef('tranche.{name}'::regclass)" for name in names]
        before = [self._query(definition) for definition in definitions]
        for name in names:
            self._query(f"DROP INDEX tranche.{name}")
        self._run_all(block)
        if (after := [self._query(definition) for definition in definitions]) != before:
            raise page_shell.Failed(block, f"tranche-migrate makes other indexes: {before}", "".join(after))

    def _while_others_wait(self, block):
        """While a session and a prepared transaction hold locks, for which others wait; the block lets them go on."""
        holder = self._start(["-f", str(FOLDER / "page_locks.sql"), "-f", "-"])
        waiting = []
        try:
            if (said := holder.stdout.readline()) != "locked\n":
                raise page_shell.Failed("page_locks.sql", "it does not lock", said)
            for sku in ("phone", "cam"):
                waiting.append(self._start(["-c", f"UPDATE tranche.sku SET title = title WHERE sku_id = '{sku}'"]))
            self._await_waiting(len(waiting))
            self._run_all(block)
            for process in waiting:
                if process.wait(WAIT_TIMEOUT_S) != 0:
                    raise page_shell.Failed(block, "what waited has failed", process.stdout.read())
        finally:
            for process in [holder, *waiting]:
                page_shell.end_by_pid(process)
                process.stdin.close()
                process.stdout.close()

    def _await_waiting(self, count):
        deadline = time.monotonic() + WAIT_TIMEOUT_S
        while self._query("SELECT count(*) FROM pg_locks WHERE NOT granted") != f"{count}\n":
            if time.monotonic() > deadline:
                raise page_shell.Failed("page_locks.sql", "nobody waits for the locks", "")
            time.sleep(0.02)

    def _start(self, arguments):
        return subprocess.Popen([*PSQL, *arguments], env=self._env, text=True, start_new_session=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                preexec_fn=cluster.terminate_with_parent)
