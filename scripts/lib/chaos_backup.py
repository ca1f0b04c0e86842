"""A copy of PostgreSQL's data, taken while it runs, as pg_basebackup takes it; put back later, the ledger is an older one."""

import contextlib
import os
import shutil
import time

LEFT_OUT = ("postmaster.pid", "postmaster.opts")
WAL = "pg_wal"


def take(ledger, data, copy):
    """Copies `data`. What was acknowledged before the returned time (Unix seconds) is in the copy."""
    shutil.rmtree(copy, ignore_errors=True)
    with contextlib.closing(ledger.connect("postgres")) as connection:
        ((first,),) = connection.query("SELECT pg_walfile_name(pg_backup_start('chaos', fast => true))")
        _copy(data, copy)
        complete = time.time()
        ((last, label),) = connection.query(
            "SELECT pg_walfile_name(lsn), labelfile FROM pg_backup_stop(wait_for_archive => false)")
    (copy / "backup_label").write_text(label)
    (copy / WAL / "archive_status").mkdir(parents=True)
    for file in (data / WAL).iterdir():
        if first <= file.name <= last or file.suffix == ".history":
            shutil.copy(file, copy / WAL)
    for folder, _, files in os.walk(copy):
        for path in (folder, *(os.path.join(folder, file) for file in files)):
            shutil.chown(path, "postgres", "postgres")
    copy.chmod(0o700)
    return complete


def _copy(data, copy):
    """Without the log, which is complete only later; files may come and go meanwhile."""
    for folder, folders, files in os.walk(data):
        if WAL in folders and folder == str(data):
            folders.remove(WAL)
        target = copy / os.path.relpath(folder, data)
        target.mkdir(exist_ok=True)
        for file in files:
            if file not in LEFT_OUT:
                with contextlib.suppress(FileNotFoundError):
                    shutil.copy(os.path.join(folder, file), target)


def put_back(copy, data):
    """PostgreSQL must not run."""
    shutil.rmtree(data)
    copy.rename(data)
