"""Reads the ledger past all of Tranche's own code: psql as the superuser."""

import subprocess

from cluster import ClusterError


def query(state, sql_file, **variables):
    """Rows of a .sql file run as the superuser, each a list of strings. `variables`: of psql."""
    command = ["psql", "-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-d", state["postgres"]["superuser"]]
    command += [word for name, value in variables.items() for word in ("-v", f"{name}={value}")]
    done = subprocess.run(command + ["-f", str(sql_file)], capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise ClusterError(f"psql {sql_file.name}: {done.stderr.strip()}")
    return [line.split("\t") for line in done.stdout.splitlines() if line]
