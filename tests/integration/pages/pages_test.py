"""The documentation's commands do what it says: all blocks of commands and of SQL are cut out of the pages and run, one
by one, as a reader would, but for those that page_lists.py has. What the pages name in their text exists.

    pages_test.py BIN_DIR
"""

import pathlib
import re
import shlex
import sys
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
BIN = pathlib.Path(sys.argv.pop(1)).resolve()
sys.path.insert(0, str(ROOT / "scripts" / "lib"))

import cluster  # noqa: E402
import doc_links  # noqa: E402
import page_commands  # noqa: E402
import page_database  # noqa: E402
import page_lists  # noqa: E402
import page_servers  # noqa: E402
import page_shell  # noqa: E402
import page_tour  # noqa: E402
from page_commands import blocks, commands  # noqa: E402
from page_lists import OPERATIONS, README, begins  # noqa: E402
from program_help import CTL, Programs, simple_commands  # noqa: E402

READY_TIMEOUT_S = 60


def all_pages():
    """Their paths from the repository's root."""
    return [str(page.relative_to(ROOT)) for page in doc_links.pages(ROOT)]


def commands_to_run(page):
    """The page's commands, without those of the list."""
    return [command for block in blocks(page) for command in commands(block)
            if not begins(page_lists.NOT_RUN.get(page, ()), command)]


def run_and_look(shell, command, adapted=None):
    """Runs it, perhaps adapted, and looks at its exit status and at what it printed."""
    status = begins(page_lists.STATUS, command)
    output = shell.run((adapted or command) + (f"\n[ $? -eq {page_lists.STATUS[status]} ]" if status else ""))
    printed = page_lists.PRINTS.get(begins(page_lists.PRINTS, command), "")
    if not re.search(printed, output, re.MULTILINE):
        raise page_shell.Failed(command, f"it does not print {printed}", output)
    return output


class PageTest(unittest.TestCase):
    def setUp(self):
        self.folder = cluster.make_scratch_folder("pages")
        self.addCleanup(cluster.remove, self.folder)
        self.home, self.files = self.folder / "home", self.folder / "files"
        for made in (self.home, self.files):
            made.mkdir()

    def shell(self, folder, **variables):
        shell = page_shell.Shell(folder, self.files, page_shell.environment(self.home, **variables))
        self.addCleanup(shell.close)
        return shell


class TheTour(PageTest):
    """README.md's, and before its end, with what is on sale then, the commands of other pages."""

    def all_commands(self):
        """(page, command) of each in its turn: the other pages' before README.md takes its SKU to another database."""
        tour = commands_to_run(README)
        (away,) = [at for at, command in enumerate(tour) if command.startswith("PG=")]
        others = [(page, command) for page in page_lists.ON_THE_TOURS_CLUSTER for command in commands_to_run(page)]
        return [(README, command) for command in tour[:away]] + others + [(README, command) for command in tour[away:]]

    def test_every_command_works_when_pasted_in_its_order(self):
        checkout = self.folder / "checkout"
        checkout.mkdir()
        page_shell.checkout_in(checkout, BIN)
        shell = self.shell(checkout, TRANCHE_BIN=str(checkout / "build/release/bin"))
        env = page_shell.environment(self.home, PATH=f"{BIN}:/usr/bin:/bin")
        background = page_shell.Background(checkout, self.files, env)
        reader = page_tour.Reader(shell, background, checkout, self.files)
        self.addCleanup(self.end_cluster, reader.state_file)
        self.addCleanup(background.end)
        for page, command in self.all_commands():
            if not reader.starts(page, command):
                reader.look(command, run_and_look(shell, command, reader.adapted(page, command)))
        self.assertFalse(reader.state_file.exists(), "the tour leaves its cluster behind")

    @staticmethod
    def end_cluster(state_file):
        if state := cluster.read_state(state_file):
            cluster.stop(state["pid"])
            cluster.remove(state["dir"])


class TheFirstStart(PageTest):
    """Of docs/operations.md; and the SQL of all pages, on a database of its own beside what was started."""

    SERVERS = ("tranched ", "tranche-balancer ", "tranche-worker ")

    def setUp(self):
        super().setUp()
        self.servers = page_servers.Servers(self.folder)
        self.addCleanup(self.servers.end)
        self.servers.start()
        port = page_servers.two_free_ports()
        self.node, self.operators = f"127.0.0.1:{port}", f"127.0.0.1:{port + 1}"
        postgres = f"127.0.0.1:{self.servers.postgres_port}"
        # The page's hosts and paths, and what stands for them here.
        self.here = {
            "@db/": f"@{postgres}/",
            "db:5432:": f"{postgres}:",
            "zk1:2181,zk2:2181,zk3:2181": f"127.0.0.1:{self.servers.zookeeper_port}",
            "0.0.0.0:7400": self.node,
            "node1:7400": self.node,
            "127.0.0.1:7401": self.operators,
            "/etc/tranche": str(self.files / "etc"),
            "build/release": str(BIN.parent),
            "/usr/local": str(self.folder / "usr"),
        }

    def adapted(self, text):
        for there, here in self.here.items():
            text = text.replace(there, here)
        return text

    def write_files(self):
        """What the page tells its reader to have in files."""
        (passwords,) = [text for text in blocks(OPERATIONS, ("",)) if text.startswith("db:5432:")]
        file = self.home / ".pgpass"
        file.touch(0o600)
        file.write_text(self.adapted(passwords))

    def await_cluster(self, shell, background):
        """Until there is a node, and a balancer leads; the page's reader types more slowly."""
        deadline, ctl = time.monotonic() + READY_TIMEOUT_S, f"tranchectl --endpoint {self.operators}"
        while True:
            background.check()
            try:
                listed = shell.run(f"{ctl} node list && {ctl} zk dump")
                if "SERVING" in listed and "balancer/leader" in listed:
                    return
            except page_shell.Failed:
                if time.monotonic() > deadline:
                    raise
            self.assertLess(time.monotonic(), deadline, "no balancer leads")
            time.sleep(0.1)

    def test_every_command_works_in_its_order(self):
        self.write_files()
        variables = {"PATH": f"{self.folder}/usr/bin:/usr/bin:/bin", "PGHOST": "127.0.0.1",
                     "PGPORT": str(self.servers.postgres_port)}
        shell = self.shell(self.folder, **variables)
        env = page_shell.environment(self.home, PATH=variables["PATH"])
        background = page_shell.Background(self.folder, self.files, env)
        self.addCleanup(background.end)
        started = waited = False
        for command in commands_to_run(OPERATIONS):
            if command.startswith(self.SERVERS):
                background.start(self.adapted(command))
                started = True
                continue
            if started and not waited:
                self.await_cluster(shell, background)
                waited = True
            run_and_look(shell, command, self.adapted(command))
        self.assertTrue(waited, "the page starts no servers")
        background.check()
        background.end()
        self.run_sql(shell, env | variables)

    def run_sql(self, shell, env):
        """All pages' blocks of `sql`, and what stands in their text, as the owner."""
        owner, name = "tranche_owner", "statements"
        shell.run(f"createdb -U postgres -O {owner} -E UTF8 -T template0 {name}")
        shell.run(self.adapted(f"tranche-migrate --postgres postgresql://{owner}@db/{name}"))
        database = page_database.Database(shell, env | {"PGUSER": owner, "PGDATABASE": name})
        for page in all_pages():
            for sql in page_commands.sql_in_text(page):
                if sql.startswith("psql "):
                    run_and_look(shell, sql)
                else:
                    database.run_block(sql)
            for block in blocks(page, ("sql",)):
                database.run_block(block)


class EveryBlock(unittest.TestCase):
    def test_is_run_or_listed(self):
        listed = {(page, begin) for lists in (page_lists.NOT_RUN, page_lists.OTHER_BLOCKS)
                  for page, entries in lists.items() for begin in entries}
        used = set()
        for page in all_pages():
            for language, block in page_commands.fenced(page):
                entries = page_lists.entries_of(page, language, block)
                self.assertIsNotNone(entries, f"{page}: neither run nor listed in page_lists.py, or not `sh`:\n{block}")
                used |= {(page, entry) for entry in entries}
        self.assertEqual(listed - used, set(), "listed, but on no page")

    def test_what_is_looked_at_is_run(self):
        run = [command for page in page_lists.RUN_BY_COMMAND for command in commands_to_run(page)]
        run += [sql for page in all_pages() for sql in page_commands.sql_in_text(page)]
        for begin in (*page_lists.PRINTS, *page_lists.STATUS):
            self.assertTrue(any(begins((begin,), command) for command in run), begin)

    def test_a_new_one_is_found(self):
        for page, language, block in (
            ("docs/quota.md", "", "tranchectl quota show tv\n"), ("docs/quota.md", "", "something else\n"),
            ("docs/clients.md", "sh", "npm install tranche\n"), ("docs/new.md", "sh", "tranchectl node list\n"),
            ("proto/README.md", "", "build/tools/node_modules/.bin/buf build proto\ntranchectl node list\n"),
        ):
            self.assertIsNone(page_lists.entries_of(page, language, block), block)
        block = "tranchectl node list\nscripts/run --keep\n"
        self.assertEqual(page_lists.entries_of(README, "sh", block), ["scripts/run "])


class WhatThePagesName(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.programs = Programs(BIN)

    def named(self, page):
        """The words of each command of ours that the page names, in blocks and between backquotes."""
        lines = [command for block in blocks(page, ("sh", "")) for command in commands(block)]
        for line in lines + page_commands.code_in_text(page):
            try:
                words = shlex.split(line, comments=True)
            except ValueError:  # an apostrophe in something that is no command
                words = line.split()
            for one in simple_commands(words):
                if self.programs.knows_program(one[0]):
                    yield one
                elif len(one) > 1 and one[0] in self.nouns() and one[1] in self.programs.subcommands(CTL, one[0]):
                    yield [CTL, *one]

    def nouns(self):
        return self.programs.subcommands(CTL)

    def test_every_command_and_flag_exists(self):
        problems, seen = [], 0
        for page in doc_links.pages(ROOT):
            for words in self.named(page.relative_to(ROOT)):
                seen += 1
                if problem := self.programs.problem(words):
                    problems.append(f"{page.relative_to(ROOT)}: {problem}: {' '.join(words)}")
        self.assertEqual(problems, [])
        self.assertGreater(seen, 100, "the pages' commands were not found")

    def test_every_flag_named_by_itself_is_one_of_ours(self):
        known, problems = self.programs.all_flags() | set(page_lists.FLAGS_OF_OTHERS), []
        for page in doc_links.pages(ROOT):
            for span in page_commands.code_in_text(page.relative_to(ROOT)):
                flag = re.match(r"--[a-z][a-z0-9-]*", span)
                if flag and flag.group() not in known:
                    problems.append(f"{page.relative_to(ROOT)}: {span}")
        self.assertEqual(problems, [])

    def test_what_does_not_exist_is_found(self):
        for command, problem in (
            ("tranchectl sku paint", "has no paint"), ("tranchectl sku list --colour", "--colour"),
            ("tranched --lanes 2 --colours=3", "--colours"), ("scripts/nothing", "no such command"),
            ("scripts/dev up --nodez 3", "--nodez"),
        ):
            self.assertIn(problem, self.programs.problem(command.split()) or "nothing", command)
        self.assertIsNone(self.programs.problem("tranchectl quota move tv --from pool --to n 5 --yes -o json".split()))


class Cutting(unittest.TestCase):
    def test_a_command_may_have_several_lines(self):
        document = "psql <<'SQL'\nSELECT 1;\n# of the document\nSQL"
        block = f"a 1  # why\n\n# only a comment\nb \\\n  --c\n{document}\nd\n"
        self.assertEqual(commands(block), ["a 1  # why", "b \\\n  --c", document, "d"])

    def test_a_statement_ends_with_its_semicolon_and_its_comment(self):
        first, second = "SELECT ';' -- a; b\n  FROM x;   -- then: SELECT f(PID)", "DELETE FROM y;"
        self.assertEqual(page_commands.statements(f"{first}\n\n{second}\nSELECT 3\n"),
                         [first, "SELECT f(PID)", second, "SELECT 3"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
