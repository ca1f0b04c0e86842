"""What a reader of several pages does on the cluster of README.md's tour besides pasting: fills in what the pages leave
to them, and has what the pages take for granted."""

import csv
import gzip
import io
import json
import re
import shlex
import time

import cluster
import page_shell
from page_commands import blocks
from page_lists import README

RESERVATIONS, RECONCILIATION = "docs/reservations.md", "docs/reconciliation.md"
UUID = r"[0-9a-f]{8}-[0-9a-f-]{27}"
READY_TIMEOUT_S = 60
# As if no receiver had taken them for a day.
GIVEN_UP = "UPDATE tranche.outbox SET state = 'DEAD' WHERE sink = 'orders' RETURNING reservation_id || '/' || revision"


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class Reader:
    """`shell` is in the tour's checkout; `background` starts the servers that a page starts; `files`: a folder."""

    def __init__(self, shell, background, checkout, files):
        self._shell, self._background, self._files = shell, background, files
        self._checkout = checkout
        self._reservations = []  # of the SKU tv, as listed
        self._message = None
        (files / "etc").mkdir()

    @property
    def state_file(self):
        return self._checkout / ".scratch" / "dev" / "state.json"

    def starts(self, page, command):
        """Whether the command is a server's; it runs then."""
        if page != RESERVATIONS or not command.startswith("tranche-worker "):
            return False
        self._background.start(self.adapted(page, command))
        return True

    def adapted(self, page, command):
        """The command with something of the reader's in place of what the page leaves open."""
        words = command.partition("#")[0].split()
        if "--watch" in words:  # the reader presses Ctrl-C
            return f"timeout --signal INT 1 {command}\n[ $? -eq 124 ]"
        if page == README and "ID" in words:
            return re.sub(r"\bID\b", self._reservations[0], command, count=1)
        if page == README and "FILE" in words:
            return re.sub(r"\bFILE\b", str(self._statement_of_a_buyer()), command, count=1)
        if page == RESERVATIONS:
            return self._adapted_about_messages(words, command)
        if page == RECONCILIATION and not (self._checkout / "psp.jsonl.gz").exists():
            self._write_statements()
        return command

    def look(self, command, output):
        """Takes down what the tour's commands show."""
        if command.startswith("tranchectl reservation list --sku tv"):
            self._reservations = re.findall(rf"^({UUID})\b", output, re.MULTILINE)
            if len(self._reservations) != 3:
                raise page_shell.Failed(command, "it does not list three reservations", output)

    def _adapted_about_messages(self, words, command):
        if "outbox" in words and not self._message:
            self._message = self._give_up_a_message()
        command = command.replace("/etc/tranche", str(self._files / "etc")).replace("ID/REVISION", self._message or "")
        return re.sub(r"\bDSN\b", shlex.quote(cluster.read_state(self.state_file)["postgres"]["app"]), command)

    def _give_up_a_message(self):
        """A reservation is cancelled after the page's workers have begun, and nobody takes the message for `orders`."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not re.search(r"(?ms)^crm\b.*^orders\b", listed := self._shell.run("tranchectl outbox sink list")):
            self._background.check()
            if time.monotonic() > deadline:
                raise page_shell.Failed("tranche-worker", "its sink is not listed", listed)
            time.sleep(0.1)
        self._shell.run(f"tranchectl reservation cancel {self._reservations[2]} --yes")
        self._background.check()
        self._background.end()
        superuser = cluster.read_state(self.state_file)["postgres"]["superuser"]
        return self._shell.run(shlex.join(["psql", "-X", "-q", "-A", "-t", "-c", GIVEN_UP, superuser])).strip()

    def _statement_of_a_buyer(self):
        """A buyer pays, and the provider says so."""
        paid = self._reservations[1]
        self._shell.run(f"tranchectl reservation confirm {paid} --payment ch_1 --amount 499.00 --yes")
        statement = self._files / "statement.csv"
        statement.write_text(f"reference,reservation_id,amount,currency,time,kind\n"
                             f"ch_1,{paid},499.00,EUR,{now()},charge\n")
        return statement

    def _write_statements(self):
        """One as on the page, about two holds that only the provider knows to be paid; one of its first line."""
        (text,) = [block for block in blocks(RECONCILIATION, ("",)) if block.startswith("reference,")]
        first = next(csv.DictReader(io.StringIO(text)))
        price = f"--price {first['amount']} --currency {first['currency']}"
        self._shell.run(f"tranchectl sku create lamp --stock 10 {price}")
        self._shell.run("tranche-load --endpoints $TRANCHE_ENDPOINT --sku lamp --requests 2")
        held = re.findall(rf"^({UUID})\b", self._shell.run("tranchectl reservation list --sku lamp"), re.MULTILINE)
        for there, here in zip(dict.fromkeys(re.findall(UUID, text)), held, strict=True):
            text = text.replace(there, here)
        text = re.sub(r"\d{4}-\d\d-\d\dT[\d:]+Z", now(), text)
        (self._checkout / "psp-2026-11-27.csv").write_text(text)
        line = json.dumps(next(csv.DictReader(io.StringIO(text))))
        (self._checkout / "psp.jsonl.gz").write_bytes(gzip.compress(f"{line}\n".encode()))
