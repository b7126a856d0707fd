"""The machine: packages, cores, ports, processes, and a temporary folder; all gone at the end."""

import atexit
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

PACKAGES = [
    ("nginx", "the peer and the upstream", lambda: shutil.which("nginx")),
    ("libnginx-mod-http-lua", "the check in Lua", lambda: Path("/usr/lib/nginx/modules/ngx_http_lua_module.so").exists()),
    ("lua-nginx-redis", "its Redis client", lambda: Path("/usr/share/lua/5.1/nginx/redis.lua").exists()),
    ("redis-server", "where nonces are kept", lambda: shutil.which("redis-server")),
    ("valgrind", "counts instructions", lambda: shutil.which("valgrind")),
]


def say(text):
    print(f"== {text}", file=sys.stderr, flush=True)


def note(text):
    print(f"   {text}", file=sys.stderr, flush=True)


def install_missing():
    missing = [(name, why) for name, why, is_there in PACKAGES if not is_there()]
    if not missing:
        return
    for name, why in missing:
        note(f"missing: {name}: {why}")
    names = [name for name, _ in missing]
    note(f"installing with apt-get: {' '.join(names)}")
    root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run([*root, "apt-get", "update", "-qq"], check=True, env=quiet)
    install = [*root, "apt-get", "install", "-y", "-qq", "--no-install-recommends", *names]
    subprocess.run(install, check=True, env=quiet, stdout=subprocess.DEVNULL)


def build(binary, generator):
    """The binary as it ships, and the generator. They are built apart, so that the tests' features are not in it."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
    cargo = ["cargo", "build", "--release", "--locked", "--quiet"]
    if not binary:
        say("building countersign")
        subprocess.run([*cargo, "-p", "countersign"], check=True, cwd=ROOT)
    if not generator:
        say("building the load generator")
        subprocess.run([*cargo, "-p", "tests", "--example", "load-generator"], check=True, cwd=ROOT)
    return {
        "countersign": Path(binary).resolve() if binary else target / "countersign",
        "generator": Path(generator).resolve() if generator else target / "examples" / "load-generator",
    }


def prefer(pid):
    """Before other work of this machine, where that is allowed: what is measured is then disturbed less."""
    try:
        os.setpriority(os.PRIO_PROCESS, pid, -15)
        # Processes of one session share what their session gets.
        Path(f"/proc/{pid}/autogroup").write_text("-15")
    except OSError:
        pass


class Cores:
    """The server's core, and those of everything else."""

    def __init__(self):
        allowed = sorted(os.sched_getaffinity(0))
        self.is_pinned = len(allowed) > 1 and shutil.which("taskset") is not None
        self.server = str(allowed[0])
        self.others = ",".join(str(core) for core in allowed[1:]) or self.server
        self.all = ",".join(str(core) for core in allowed)
        # Where in the generator's list of cores each group stands.
        self.server_place = allowed[0]
        self.other_places = allowed[1:] or allowed

    def on(self, cores):
        return ["taskset", "--cpu-list", cores] if self.is_pinned else []


class Process:
    """A started server: its processes, its log, its end."""

    def __init__(self, name, popen, port, log):
        self.name, self.popen, self.port, self.log = name, popen, port, log

    def pids(self):
        """Its own and its children's (nginx's worker)."""
        found = [self.popen.pid]
        for pid in found:
            children = Path(f"/proc/{pid}/task/{pid}/children")
            if children.exists():
                found += [int(child) for child in children.read_text().split()]
        return found

    def watch(self, name):
        return ["--watch", f"{name}=" + ",".join(str(pid) for pid in self.pids())]

    def resident_mib(self):
        kib = 0
        for pid in self.pids():
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    kib += int(line.split()[1])
        return kib / 1024

    def stop(self):
        if self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.popen.pid, signal.SIGKILL)
                self.popen.wait()


class Bench:
    """Everything a run starts, and the folder it lives in."""

    def __enter__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="countersign-load-"))
        # nginx's worker gives up root; what it reads and writes must be open to it.
        self.folder.chmod(0o755)
        self.cores = Cores()
        self.started = []
        self.taken = set()
        atexit.register(self.close)
        for name in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(name, lambda *_: sys.exit(1))
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = 65_536
        if soft < wanted:
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, hard)))
            except (ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        if not self.cores.is_pinned:
            note("only one core, or no taskset: servers, load and Redis share it, and ratios mean less")
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for process in reversed(self.started):
            process.stop()
        self.started = []
        shutil.rmtree(self.folder, ignore_errors=True)

    def port(self):
        while True:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            # Below the range from which connections get theirs nobody takes it meanwhile; else it is remembered here.
            if port not in self.taken:
                self.taken.add(port)
                return port

    def start(self, name, command, port, cores, stdout=None, **options):
        log = self.folder / f"{name}.log"
        with open(log, "ab") as err, open(stdout or os.devnull, "ab") as out:
            popen = subprocess.Popen(
                [*self.cores.on(cores), *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
                **options,
            )
        prefer(popen.pid)
        process = Process(name, popen, port, log)
        self.started.append(process)
        deadline = time.monotonic() + 60
        while True:
            if popen.poll() is not None:
                sys.exit(f"{name} ended at its start:\n{log.read_text()[-2000:]}")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return process
            if time.monotonic() > deadline:
                sys.exit(f"{name} doesn't listen on {port}:\n{log.read_text()[-2000:]}")
            time.sleep(0.05)

    def generate(self, generator, *words, cores=None):
        """One run of the generator; its result."""
        command = [*self.cores.on(cores or self.cores.others), str(generator), *map(str, words)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as running:
            prefer(running.pid)
            lines = running.stdout.read().strip().splitlines()
        result = json.loads(lines[-1]) if lines else {"failure": "it said nothing"}
        if running.returncode != 0:
            logs = "".join(f"\n-- {one.name}: {one.log.read_text()[-600:]}" for one in self.started)
            sys.exit(f"the load generator failed: {result.get('failure')}\n{' '.join(command)}{logs}")
        return result
