"""Builds with ninja: says how much there is to do, shows one line of progress, and all the output when it fails.

  build.py DIRECTORY [TARGET]...
"""

import os
import re
import subprocess
import sys
import time

# A step of a first build costs about this much on the machines that the project is built on; most are compilations of a
# batch of sources. A step that the compiler cache has takes a tenth.
SECONDS_PER_STEP = 6.0
LINE_EVERY_S = 20.0

_STATUS = re.compile(r"^\[(\d+)/(\d+)\] (.*)$")


def duration(seconds):
    """A rough one for people: '40 s', '5 min'."""
    return f"{max(10, round(seconds / 10) * 10)} s" if seconds < 90 else f"{round(seconds / 60)} min"


def step_of(line):
    """(done, total) of a status line about a step of ours; None for others, such as CMake's own steps before them."""
    status = _STATUS.match(line)
    if status is None or status.group(3).startswith(("Re-checking", "Re-running")):
        return None
    return int(status.group(1)), int(status.group(2))


def left_s(done, total, elapsed_s):
    """Seconds that the rest will take at the speed so far; None while that is a guess."""
    if done < 5 or elapsed_s < 5:
        return None
    return elapsed_s / done * (total - done)


class Progress:
    """One line that moves on a terminal; elsewhere a line now and then."""

    def __init__(self, out, started_s, clock=time.monotonic):
        self._out = out
        self._clock = clock
        self._started_s = started_s
        self._moving = out.isatty()
        self._shown_s = started_s

    def show(self, done, total):
        now_s = self._clock()
        if not self._moving and now_s - self._shown_s < LINE_EVERY_S:
            return
        self._shown_s = now_s
        rest_s = left_s(done, total, now_s - self._started_s)
        rest = "" if rest_s is None else f", about {duration(rest_s)} left"
        line = f"  step {done} of {total}{rest}"
        self._out.write(f"\r{line:<60}" if self._moving else line + "\n")
        self._out.flush()

    def end(self):
        if self._moving:
            self._out.write(f"\r{'':<60}\r")
            self._out.flush()


def build(directory, targets, out):
    processors = len(os.sched_getaffinity(0))
    started_s = time.monotonic()
    progress = None
    output = []
    with subprocess.Popen(
        ["ninja", "-C", directory, *targets],
        env={**os.environ, "NINJA_STATUS": "[%f/%t] "},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        for line in process.stdout:
            step = step_of(line)
            if step is None:
                output.append(line)
                continue
            if progress is None:
                most = duration(step[1] * SECONDS_PER_STEP / processors)
                out.write(f"building {directory}: {step[1]} steps, at most about {most} on {processors} processors\n")
                progress = Progress(out, started_s)
            progress.show(*step)
    if progress is not None:
        progress.end()
    if process.returncode:
        out.writelines(output)
    elif progress is not None:
        out.write(f"built {directory} in {duration(time.monotonic() - started_s)}\n")
    return process.returncode


if __name__ == "__main__":
    sys.exit(build(sys.argv[1], sys.argv[2:], sys.stderr))
