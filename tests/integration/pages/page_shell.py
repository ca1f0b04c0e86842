"""Runs a page's commands as its reader would, one after the other in one shell."""

import os
import pathlib
import select
import shutil
import signal
import subprocess

import cluster

END_TIMEOUT_S = 15
ENDPOINT_VARIABLES = ("TRANCHE_", "PG")


class Failed(AssertionError):
    """A command of a page did not do what the page says; shows the command and all that it printed."""

    def __init__(self, command, problem, output):
        super().__init__(f"{problem}:\n\n    {command}\n\nIt printed:\n{output}")


def environment(home, **changed):
    """Nothing of the caller's own settings of Tranche or PostgreSQL reaches the page's commands."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ENDPOINT_VARIABLES)}
    return {**kept, "HOME": str(home), **changed}


def end_by_pid(process):
    """Ends a process of ours, with its children if it was given a session of its own."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class Shell:
    """A bash that keeps its variables from one command to the next. `files`: a folder for its own files."""

    def __init__(self, folder, files, env):
        self._command, self._output = files / "command.sh", files / "output.txt"
        self._bash = subprocess.Popen(["bash", "--norc"], cwd=folder, env=env, text=True, start_new_session=True,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      preexec_fn=cluster.terminate_with_parent)

    def run(self, command, timeout_s=60):
        """What the command printed; it must succeed in time."""
        self._command.write_text(command + "\n")
        self._bash.stdin.write(f". {self._command} >{self._output} 2>&1 </dev/null; echo $?\n")
        self._bash.stdin.flush()
        if not select.select([self._bash.stdout], [], [], timeout_s)[0]:
            raise Failed(command, f"not done after {timeout_s} s", self._output.read_text(errors="replace"))
        status = self._bash.stdout.readline().strip()
        output = self._output.read_text(errors="replace")
        if status != "0":
            raise Failed(command, f"exit status {status}", output)
        return output

    def close(self):
        end_by_pid(self._bash)
        self._bash.stdin.close()
        self._bash.stdout.close()


class Background:
    """Servers that a page starts, each in a terminal of its own."""

    def __init__(self, folder, files, env):
        self._folder, self._files, self._env = folder, files, env
        self._running = []

    def start(self, command):
        log_file = self._files / f"{len(self._running)}-{pathlib.Path(command.split()[0]).name}.log"
        with open(log_file, "wb") as log:
            process = subprocess.Popen(["bash", "--norc", "-c", f"exec {command}"], cwd=self._folder, env=self._env,
                                       stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                                       preexec_fn=cluster.terminate_with_parent)
        self._running.append((process, command, log_file))

    def check(self):
        """All of them still run."""
        for process, command, log_file in self._running:
            if (status := process.poll()) is not None:
                raise Failed(command, f"it has ended with status {status}", log_file.read_text(errors="replace"))

    def end(self):
        for process, _, _ in reversed(self._running):
            end_by_pid(process)


def checkout_in(folder, bin_dir):
    """A checkout with built programs, for scripts/dev: it keeps one cluster for each checkout."""
    root = pathlib.Path(__file__).resolve().parents[3]
    shutil.copytree(root / "scripts", folder / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "build" / "release").mkdir(parents=True)
    (folder / "build" / "release" / "bin").symlink_to(bin_dir)
