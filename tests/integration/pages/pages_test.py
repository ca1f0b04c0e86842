"""The documentation's commands do what it says: those of README.md's tour and of the first start in docs/operations.md
are cut out of the pages and run, one by one, as a reader would. What the other pages name exists.

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
import page_servers  # noqa: E402
import page_shell  # noqa: E402
from page_commands import blocks, commands  # noqa: E402
from program_help import CTL, Programs, simple_commands  # noqa: E402

README, OPERATIONS = "README.md", "docs/operations.md"
# Commands of these two pages that are not run, by how they begin, and why.
NOT_RUN = {
    README: {
        "scripts/run ": "a million buyers; installs packages and builds",
        "scripts/test ": "runs this test",
        "scripts/simulate ": "simulation_test runs what it runs",
        "scripts/chaos ": "chaos_test runs it",
        "scripts/scale ": "scale_test runs what it runs",
    },
    OPERATIONS: {},
}
# What a command must print, by how it begins.
PRINTS = {
    "tranche-load --endpoints $TRANCHE_ENDPOINT --sku tv --requests 5000": r"^tv +5000 +1000 (?s:.*)SOLD_OUT +4000$",
    "tranche-load --endpoints $TRANCHE_ENDPOINT --sku tv --requests 3 ": r"^tv +3 +3 ",
    "tranchectl node list": r"\bSERVING\b",
    "tranchectl verify": r"^ok\b",
    "tranchectl shard list": r"\bhome\b",
}
# Flags that the pages name by themselves and that are not ours, and whose they are.
FLAGS_OF_OTHERS = {"--component": "cmake"}
READY_TIMEOUT_S = 60


def why_not_run(page, command):
    """The beginning of the list's entry for the command, or None."""
    return next((begin for begin in NOT_RUN[page] if f"{command} ".startswith(begin)), None)


def run_and_look(shell, command, adapted=None):
    """Runs it, perhaps adapted, and looks at what it printed."""
    output = shell.run(adapted or command)
    for begin, printed in PRINTS.items():
        if f"{command} ".startswith(begin) and not re.search(printed, output, re.MULTILINE):
            raise page_shell.Failed(command, f"it does not print {printed}", output)
    return output


class PageTest(unittest.TestCase):
    page = None

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

    def commands_to_run(self):
        """The page's commands, without those of the list. The list has no others; no command hides in another block."""
        for block in blocks(self.page, ("", "bash", "shell", "console")):
            self.assertNotRegex(block, r"(?m)^\$? *(tranche|scripts/|psql|createdb)", "not in a block of `sh`")
        found = [command for block in blocks(self.page) for command in commands(block)]
        listed = [begin for command in found if (begin := why_not_run(self.page, command))]
        self.assertEqual(sorted(listed), sorted(NOT_RUN[self.page]), "the list of what is not run")
        return [command for command in found if not why_not_run(self.page, command)]


class TheReadmesTour(PageTest):
    page = README

    def adapted(self, command, shell, reservations):
        """With something of the reader's in place of the placeholders; the reader presses Ctrl-C after 2 s."""
        words = command.partition("#")[0].split()
        if "ID" in words:
            return re.sub(r"\bID\b", reservations[0], command, count=1)
        if "FILE" in words:
            return re.sub(r"\bFILE\b", str(self.statement_of(shell, reservations[1])), command, count=1)
        return f"timeout --signal INT 2 {command}\n[ $? -eq 124 ]" if "--watch" in words else command

    def statement_of(self, shell, reservation):
        """A buyer pays, and the provider says so."""
        shell.run(f"tranchectl reservation confirm {reservation} --payment ch_1 --amount 499.00 --yes")
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        statement = self.files / "statement.csv"
        statement.write_text(f"reference,reservation_id,amount,currency,time,kind\n"
                             f"ch_1,{reservation},499.00,EUR,{now},charge\n")
        return statement

    def test_every_command_works_when_pasted_in_its_order(self):
        checkout = self.folder / "checkout"
        checkout.mkdir()
        page_shell.checkout_in(checkout, BIN)
        self.addCleanup(self.end_cluster, checkout / ".scratch" / "dev" / "state.json")
        shell, reservations = self.shell(checkout, TRANCHE_BIN=str(checkout / "build/release/bin")), []
        for command in self.commands_to_run():
            output = run_and_look(shell, command, self.adapted(command, shell, reservations))
            if command.startswith("tranchectl reservation list"):
                reservations = re.findall(r"^([0-9a-f]{8}-[0-9a-f-]{27})\b", output, re.MULTILINE)
                self.assertEqual(len(reservations), 3, output)
        self.assertFalse((checkout / ".scratch" / "dev" / "state.json").exists(), "the tour leaves its cluster behind")

    @staticmethod
    def end_cluster(state_file):
        if state := cluster.read_state(state_file):
            cluster.stop(state["pid"])
            cluster.remove(state["dir"])


class TheFirstStart(PageTest):
    page = OPERATIONS
    SERVERS = ("tranched ", "tranche-balancer ", "tranche-worker ")

    def setUp(self):
        super().setUp()
        self.servers = page_servers.Servers(self.folder)
        self.addCleanup(self.servers.end)
        self.servers.start()
        self.node = f"127.0.0.1:{page_servers.free_port()}"
        postgres = f"127.0.0.1:{self.servers.postgres_port}"
        # The page's hosts and paths, and what stands for them here.
        self.here = {
            "@db/": f"@{postgres}/",
            "db:5432:": f"{postgres}:",
            "zk1:2181,zk2:2181,zk3:2181": f"127.0.0.1:{self.servers.zookeeper_port}",
            "0.0.0.0:7400": self.node,
            "node1:7400": self.node,
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
        (passwords,) = [text for text in blocks(self.page, ("",)) if text.startswith("db:5432:")]
        file = self.home / ".pgpass"
        file.touch(0o600)
        file.write_text(self.adapted(passwords))

    def await_cluster(self, shell, background):
        """Until there is a node, and a balancer leads; the page's reader types more slowly."""
        deadline, ctl = time.monotonic() + READY_TIMEOUT_S, f"tranchectl --endpoint {self.node}"
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
        for command in self.commands_to_run():
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
        known, problems = self.programs.all_flags() | set(FLAGS_OF_OTHERS), []
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


if __name__ == "__main__":
    unittest.main(verbosity=2)
