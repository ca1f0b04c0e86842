"""What the test knows about the pages' commands: which are not run and why, what they print, and what stands for what
the reader has to fill in."""

import re

from page_commands import commands

README, OPERATIONS = "README.md", "docs/operations.md"
# Run on the cluster of README.md's tour, in this order.
ON_THE_TOURS_CLUSTER = ("docs/operations/sale-night.md", "docs/quota.md", "docs/reservations.md", "docs/reconciliation.md",
                        "docs/front-door.md", "docs/risk.md", "docs/draws.md", "docs/groups.md", "docs/waiting-room.md")
# The pages of which pages_test runs each command in a block of `sh`, unless NOT_RUN has it. SQL is run of all pages.
RUN_BY_COMMAND = (README, OPERATIONS, *ON_THE_TOURS_CLUSTER)

# Commands of these pages that are not run, by how they begin, and why.
NOT_RUN = {
    README: {
        "scripts/run ": "a million buyers; installs packages and builds",
        "scripts/test ": "runs this test",
        "scripts/simulate ": "simulation_test runs what it runs",
        "scripts/chaos ": "chaos_test runs it",
        "scripts/scale ": "scale_test runs what it runs",
    },
    "docs/groups.md": {
        "protoc ": "clients_page_test runs it, where the protos are",
        "PYTHONPATH=gen ": "clients_page_test runs it",
    },
    "docs/reservations.md": {
        "rabbitmqctl ": "needs a broker of the reader's",
        "shop_mq": "needs a broker of the reader's; amqp_sink_test declares such by AMQP",
    },
    "docs/waiting-room.md": {"scripts/verify_rank.py ": "needs a round that has ended; test_verify_rank runs it"},
}
# All other blocks, by how they begin, and why pages_test does not run them.
OTHER_BLOCKS = {
    README: {"tranche::ClientOptions options;": "client_install_test builds client/example, which has the same calls"},
    "client/README.md": {
        '#include "tranche/client.h"': "client_install_test builds client/example, which has the same calls",
        "find_package(tranche REQUIRED)": "client_install_test builds client/example with it",
        "auto cart = ": "a piece of C++",
        "auto sku = ": "a piece of C++",
        "auto entry = ": "a piece of C++",
        "auto entered = ": "a piece of C++",
        "auto opened = ": "a piece of C++",
        "tranche::CreateReservation claim": "a piece of C++",
        "options.tls = ": "a piece of C++",
    },
    "docs/architecture.md": {"proto/ ": "a list of folders"},
    "docs/clients.md": {
        "mkdir -p gen\nprotoc -I proto --python_out=": "clients_page_test runs it",
        "import random": "clients_page_test runs it",
        "const fs = ": "clients_page_test runs it",
        "import sys\nimport grpc\nfrom tranche.v1 import admin": "clients_page_test runs it",
        "def connect(nodes):": "clients_page_test runs it",
        "from tranche.v1 import front_door_service_pb2 as door_pb": "clients_page_test runs it",
        "const inMs = ": "clients_page_test runs it",
        "from tranche.v1 import group_service_pb2 as group_pb": "clients_page_test runs it",
        "const ask = ": "clients_page_test runs it",
        "auto opened = ": "a piece of C++",
        "# Waits for the decision": "clients_page_test runs it",
        "async function decision(": "clients_page_test runs it",
        "claim, err := client.GetClaim": "needs Go; the page says that it is not tested",
        "GetClaimResponse claim = ": "needs Java; the page says that it is not tested",
        "tranche::CreateReservation claim": "a piece of C++",
        "type entered struct": "needs Go; the page says that it is not tested",
        "record Told(": "needs Java; the page says that it is not tested",
        "import time": "clients_page_test runs it",
        "def enter_draw(": "the page says that it is not tested; enter_sale_test makes the same calls",
        "const enterDraw = ": "the page says that it is not tested",
        "entered, err := ": "needs Go; the page says that it is not tested",
        "<div id=": "needs a browser; the page says that it is not tested",
        "auto entry = ": "a piece of C++",
        "// The service config as a Map.": "needs Java; the page says that it is not tested",
        "mkdir -p gen\nprotoc -I proto --go_out=": "needs Go; the page says that it is not tested",
        "import (": "needs Go; the page says that it is not tested",
    },
    "docs/groups.md": {"import sys, uuid": "clients_page_test runs it"},
    "docs/comparison.md": {"scripts/compare ": "takes minutes to hours; installs packages and builds"},
    "docs/load.md": {
        "scripts/dev up ": "starts a cluster and loads it for a minute; load_scenario_test runs such",
        "name: a small sale": "a file; scenario_reader_test reads such",
        "# on each machine": "needs other machines; load_scenario_test has two generators",
    },
    OPERATIONS: {
        "db:5432:*:tranche_owner:": "a file; the first start reads it",
        "host=db1,db2 ": "connection strings for several servers; startup_test uses such",
        "NOT HEALTHY: 2 critical": "what `tranchectl status` prints; ctl_status_view_test and status_test look at such",
        "2026-11-29T11:20:00.123456Z WARNING ": "how a line of the log begins; log_format_test looks at such",
        "shard home gave up ": "a line of a log; shards_test looks for it",
    },
    "docs/operations/hardening.md": {
        "useradd ": "changes the machine",
        "[Unit]": "a file; the page says that it was not tried",
        'node-name = "node1"': "a file; options_test reads such",
        "local    all          postgres": "lines of a file of PostgreSQL's",
    },
    "docs/operations/sale-night.md": {
        "env -u TRANCHE_TOKEN_FILE ": "needs an access file, which the tour's cluster has not; secured_test runs such",
    },
    "docs/queue.md": {"rabbitmqctl add_vhost ": "needs a broker of the reader's; queue_test has one with such a user"},
    "docs/reconciliation.md": {"reference,reservation_id,": "a file; the page's commands read it"},
    "docs/risk.md": {"import concurrent.futures": "the page says that it is not tested; risk_test has a scorer in C++"},
    "docs/reservations.md": {'{"kind": ': "messages; the tests of SQL and outbox_ledger_contract_test look at such"},
    "proto/README.md": {"build/tools/node_modules/.bin/buf build ": "replaces a file of the repository"},
    "docs/security.md": {
        "umask 077\nopenssl req ": "scripts/check scripts runs it",
        "{\n  // Roles of callers": "an access file; roles_test reads it",
    },
    "docs/web.md": {
        "scripts/dev up --web ": "starts a cluster; web_gateway_test makes such calls",
        '{\n  "type": ': "a problem; web_gateway_test looks at such",
        "cd client/web ": "web_test builds it, with scripts/lib/web.py",
        "TRANCHE_GATEWAY_NODES=": "web_gateway_test starts it with such flags",
        "proxy_cache_path ": "needs nginx; the page says that it is not tested",
        "frontend shop": "needs HAProxy; the page says that it is not tested",
    },
    "client/web/README.md": {"npm ci ": "web_test and scripts/check web run these"},
    "server/README.md": {"BlockingCall(": "a piece of C++"},
    "tests/README.md": {"ctest --test-dir ": "runs this test"},
    "tests/benchmark/peers/node/README.md": {"npm ci ": "installs 560 MB, which only scripts/compare needs"},
    "tests/simulation/README.md": {"scripts/simulate ": "simulation_test runs what it runs"},
}
# A command that nobody would look for, in a block that is not of `sh`.
HIDDEN_COMMAND = r"(?m)^\$? *(tranche[\w-]* |scripts/|psql |createdb |ctest )"

# What a command must print, by how it begins.
PRINTS = {
    "tranche-load --endpoints $NODES --sku tv --requests 5000": r"^tv +5000 +\d+ +\d+ +4000 +0\n(?s:.*)SOLD_OUT +\d{4}$",
    "tranche-load --endpoints node1:7400 --sku tv --requests 3 ": r"^tv +3 +\d +\d +0 +0$",  # replayed: tried again, since the answer was late
    "tranchectl node list": r"\bSERVING\b",
    "tranchectl verify": r"^ok\b",
    "tranchectl shard list": r"\bhome\b",
    "tranchectl outbox retry --sink orders": r"DUE AGAIN\n +1$",
    "tranchectl reconcile --statement psp-2026-11-27.csv --report": r"^PAID_BUT_PENDING +1 ",
    'zcat psp.jsonl.gz | tranchectl reconcile --statement - ': r'"clean": true',
}
# The exit status, by how the command begins; otherwise 0.
STATUS = {
    "tranchectl reconcile --statement psp-2026-11-27.csv": 2,
    "tranchectl door test --sku tv --user mallory": 1,
}

# In the pages' SQL. PID and GID are the first column of what the statement before has found.
SQL_PLACEHOLDERS = {
    "TIME OF THE RESTORE": "yesterday",
    # The database is home, and stays it.
    "UPDATE tranche.shard_identity SET home_id = 'THE NEW ID OF HOME' WHERE name <> 'home'":
        "BEGIN; UPDATE tranche.shard_identity SET name = 'hot', home_id = gen_random_uuid(); ROLLBACK",
}

# Flags that the pages name by themselves and that are not ours, and whose they are.
FLAGS_OF_OTHERS = {"--component": "cmake"}


def begins(entries, text):
    """The key of the entry that the text begins with, or None."""
    return next((begin for begin in entries if f"{text} ".startswith(begin)), None)


def entries_of(page, language, block):
    """The lists' entries about what of the block is not run; None if it is neither run nor listed."""
    if language == "sql":
        return []
    if language == "sh" and page in RUN_BY_COMMAND:
        entries = [begins(NOT_RUN.get(page, ()), command) for command in commands(block)]
        return [entry for entry in entries if entry]
    entry = begins(OTHER_BLOCKS.get(page, ()), block)
    hides = language != "sh" and re.search(HIDDEN_COMMAND, block)
    return [entry] if entry and not hides else None
