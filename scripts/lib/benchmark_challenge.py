"""What a key of a challenge costs a browser and a native program. Called by scripts/benchmark."""

import contextlib
import hashlib
import http.server
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import threading
import time

import npm
from benchmark_cluster import cpu_ms

ITERATIONS = 320  # kChallengeIterations of server/admission/challenge.h
KEYS = 20_000
PATIENCE_S = 300
# The page solves as the ALTCHA widget does: one key after the other, by the browser's own cryptography.
PAGE = f"""<!doctype html><title>keys</title><script type="module">
import {{ deriveKey }} from '/altcha/algorithms/web/pbkdf2.js';
const parameters = {{ algorithm: 'PBKDF2/SHA-256', cost: {ITERATIONS}, keyLength: 32 }};
const salt = crypto.getRandomValues(new Uint8Array(16)), password = new Uint8Array(20);
async function keys(count) {{
  for (let i = 0; i < count; ++i) {{
    new DataView(password.buffer).setUint32(16, i);
    await deriveKey(parameters, salt, password);
  }}
}}
await keys(2000);
await fetch('/begin', {{ method: 'POST' }});
await keys({KEYS});
await fetch('/end', {{ method: 'POST' }});
</script>"""


def browser():
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for path in map(shutil.which, names) if path), None)


def tree(pid):
    """The process and all below it."""
    children = [int(word) for path in pathlib.Path(f"/proc/{pid}/task").glob("*/children")
                for word in path.read_text().split()]
    return [pid, *(one for child in children for one in tree(child))]


class Page(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/":
            self.answer(PAGE.encode(), "text/html")
            return
        file = (self.server.library / self.path.removeprefix("/altcha/")).resolve()
        if file.suffix == ".js" and file.is_relative_to(self.server.library) and file.is_file():
            self.answer(file.read_bytes(), "text/javascript")
        else:
            self.send_error(404)

    def do_POST(self):
        self.server.passed[self.path] = (sum(cpu_ms([pid]) for pid in tree(self.server.browser_pid)), time.monotonic())
        self.answer(b"", "text/plain")
        if self.path == "/end":
            self.server.ended.set()

    def answer(self, body, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def served(library):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    server.library, server.passed, server.ended = library.resolve(), {}, threading.Event()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def in_browser(program, library):
    """Milliseconds of CPU, and of time, for a key."""
    with served(library) as server, tempfile.TemporaryDirectory() as profile:
        command = [program, "--headless", "--disable-gpu", "--no-first-run", "--disable-extensions",
                   f"--user-data-dir={profile}", "--remote-debugging-port=0", "--no-sandbox",
                   f"http://localhost:{server.server_port}/"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            server.browser_pid = process.pid
            if not server.ended.wait(PATIENCE_S):
                raise RuntimeError(f"the browser has not made {KEYS} keys in {PATIENCE_S} s")
        finally:
            process.terminate()
            process.wait()
        (cpu_before, began), (cpu_after, ended) = server.passed["/begin"], server.passed["/end"]
        return (cpu_after - cpu_before) / KEYS, (ended - began) * 1000 / KEYS


def natively():
    """The same by OpenSSL, on one thread."""
    salt, password = bytes(16), bytearray(20)
    began, cpu = time.monotonic(), time.process_time()
    for i in range(KEYS):
        password[16:] = i.to_bytes(4, "big")
        hashlib.pbkdf2_hmac("sha256", password, salt, ITERATIONS)
    return (time.process_time() - cpu) * 1000 / KEYS, (time.monotonic() - began) * 1000 / KEYS


def challenge(options):
    program = browser()
    if program is None:
        print("not measured: it needs a browser, such as the package chromium", flush=True)
        return None
    library = npm.install(npm.TOOLS / "altcha", {"altcha-lib": "2.8.0"}) / "altcha-lib/dist/esm/v2"
    rounds = []
    for _ in range(options.rounds):
        (browser_cpu, browser_time), (native_cpu, native_time) = in_browser(program, library), natively()
        rounds.append({"browser_cpu_ms": browser_cpu, "browser_ms": browser_time, "native_cpu_ms": native_cpu,
                       "native_ms": native_time, "cpu_ratio": browser_cpu / native_cpu})
        print(f"a key costs a browser {browser_cpu:.3f} ms of CPU ({browser_time:.3f} ms), a native program "
              f"{native_cpu:.3f} ms: {browser_cpu / native_cpu:.2f} : 1", flush=True)
    ratio = statistics.median(one["cpu_ratio"] for one in rounds)
    bits = {bits: statistics.median(one["browser_ms"] for one in rounds) * 2**bits / 1000 for bits in (10, 12, 14)}
    print(f"median: {ratio:.2f} : 1; with one worker a browser needs on average "
          + ", ".join(f"{seconds:.1f} s for {count} bits" for count, seconds in bits.items()), flush=True)
    return {"rounds": rounds, "cpu_ratio": ratio, "browser_s_by_bits": bits}
