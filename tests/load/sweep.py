"""What a sweep of expired tokens does to signed requests that are served meanwhile: a run of its own, on both stores."""

import os
import subprocess
import threading
import time

import bench
import goals
import machine
import servers
from servers import TOKENS

NAME = "sweep"
JOB = "expired_tokens_cleanup"
# A window of the open loop: short, so that most lie within the sweep.
SECONDS = 1.0
WINDOWS_BEFORE = 5
# Of this run alone, as the store's key is: the gateway makes this account at its first start, and the command signs in.
ADMIN = {"COUNTERSIGN_ADMIN_USER": "load-sweeper", "COUNTERSIGN_ADMIN_PASSWORD": "thrown away with the store"}


def run(bed, binaries, given):
    upstream = servers.nginx(bed, "upstream", bed.cores.others)
    stores = {
        "redis": lambda: servers.Redis(bed, "redis-sweep").url,
        "embedded": lambda: servers.embedded(bed, "sweep"),
    }
    return {name: measure(bed, binaries, given, upstream, name, make()) for name, make in stores.items()}


def measure(bed, binaries, given, upstream, name, store):
    machine.say(f"{name}: {given.expired:,} expired tokens")
    servers.fill(bed, binaries, store, TOKENS)
    words = ["expired", "--store", store, "--key", servers.KEY, "--tokens", given.expired]
    began = time.monotonic()
    bed.generate(binaries["generator"], *words, cores=bed.cores.all)
    machine.note(f"put in {time.monotonic() - began:.0f} s")
    gateway = servers.Countersign(bed, binaries, f"sweep-{name}", store, upstream.port, environment=ADMIN)
    case = bench.Case(name, gateway)
    window = lambda: case.load(bed, binaries, "open", "--rate", given.rate, "--seconds", SECONDS, "--warm", 0.2)
    window()
    before = [window()["latency_micros"] for _ in range(WINDOWS_BEFORE)]
    command = [binaries["countersign"], "sweep", JOB, "--config", gateway.conf]
    environment = {**os.environ, **ADMIN}
    began = time.monotonic()
    sweep = subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )
    ended = []
    waiting = threading.Thread(target=lambda: ended.append((sweep.communicate()[0], time.monotonic())))
    waiting.start()
    during = []
    while True:
        measured = window()["latency_micros"]
        # The last one reaches beyond the sweep, and counts only where there is no other.
        if not ended or not during:
            during.append(measured)
        if ended:
            break
    waiting.join()
    said, end = ended[0]
    if sweep.returncode != 0 or f"{JOB}: {given.expired} removed" not in said:
        raise SystemExit(f"the sweep did not remove {given.expired} tokens: {said}")
    gateway.process.stop()
    return {"removed": given.expired, "seconds": end - began, "before": before, "during": during}


def table(found, given):
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    cores = len(os.sched_getaffinity(0))
    lines = [
        f"Signed requests at {given.rate}/s while expired tokens are swept; windows of {SECONDS:g} s: median (least to most)",
        f"(load average of this machine of {cores} cores at the end: {load}; this run alone makes about {cores})",
        "",
        f"{'store':10} {'removed':>10} {'took':>8}  {'latency, µs':14} {'windows':>7} {'p50':>24} {'p99':>28}",
    ]
    for name, one in found.items():
        for when in ("before", "during"):
            windows = one[when]
            p50, p99 = (goals.spread([window[which] for window in windows], 0) for which in ("p50", "p99"))
            first = f"{name:10} {one['removed']:10,} {one['seconds']:6.1f} s" if when == "before" else " " * 30
            lines.append(f"{first}  {when:14} {len(windows):7} {p50:>24} {p99:>28}")
    return "\n".join(lines)
