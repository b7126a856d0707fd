"""The steps of a run. Figures are lists, one value a round: goals.py takes medians and spreads."""

import subprocess
import time

import machine
import servers
from servers import TOKENS

CONNECTIONS = 64
IDLE = 9500
SLOW_RATE = 2000
# A whole minute of nonces at 20,000 a second.
MINUTE_OF_NONCES = 1_200_000


class Case:
    """One way to load one server."""

    def __init__(self, name, server, method="HMAC-SHA1", redis=None, cores=None, **words):
        self.name, self.server, self.redis, self.cores = name, server, redis, cores
        self.process = getattr(server, "process", server)
        self.words = ["--method", method, "--tokens", TOKENS]
        for word, value in words.items():
            self.words += [f"--{word}", value]

    def load(self, bed, binaries, kind, *words):
        watch = self.process.watch("server")
        if self.redis:
            watch += self.redis.process.watch("redis")
        server = f"127.0.0.1:{self.process.port}"
        words = [kind, "--server", server, *self.words, *words, *watch]
        measured = bed.generate(binaries["generator"], *words, cores=self.cores)
        if hasattr(self.server, "forget_log"):
            self.server.forget_log()
        return measured


def run(bed, binaries, given):
    upstream = servers.nginx(bed, "upstream", bed.cores.others)
    cases, redis = peers(bed, binaries, given, upstream)
    figures = {"machine": {"pinned": bed.cores.is_pinned, "rounds": given.rounds}, "closed": {}, "growth": {}}
    nonces = Nonces(bed, binaries, upstream) if not given.quick and wants(given, "countersign-sha1") else None
    machine.say(f"cost and peak: {given.rounds} rounds of {len(cases)} servers")
    closed(bed, binaries, given, cases, figures["closed"])
    machine.say("latency at a fixed rate")
    figures["latency"] = latency(bed, binaries, given, cases, figures["closed"])
    if wants(given, "countersign-2-threads"):
        machine.say("one thread and two, with everything free on all cores")
        figures["threads"] = {}
        closed(bed, binaries, given, threads(bed, binaries), figures["threads"])
    machine.say(f"memory, also with {IDLE} idle connections")
    figures["memory"] = memory(bed, binaries, cases)
    if wants(given, "countersign-sha1"):
        machine.say("replays, to two gateways on one Redis")
        figures["replays"] = replays(bed, binaries, upstream, redis)
        machine.say("cost as work grows")
        base = next(case for case in cases if case.name == "countersign-sha1")
        growing = growth(bed, binaries, given, upstream, base)
        closed(bed, binaries, given, growing, figures["growth"])
        machine.say("verification alone")
        figures["verify"] = verify(bed, binaries, given)
    if nonces:
        machine.say("octets a nonce, at 20,000 a second")
        figures["nonces"] = nonces.measure(bed, binaries)
    return figures


def wants(given, name):
    return name == "nginx" or not given.only or name in given.only


def peers(bed, binaries, given, upstream):
    """Every server that is asked for, running; those that idle cost nothing."""
    redis = servers.Redis(bed, "redis")
    for_lua = servers.Redis(bed, "redis-lua")
    up = upstream.port
    cases = [Case("nginx", servers.nginx(bed, "plain", bed.cores.server, upstream=up, workers=1))]
    if any(wants(given, name) for name in servers.NAMES if "lua" in name):
        for_lua.fill_for_lua(bed, binaries["generator"])
        lua, remembering = (servers.nginx_lua(bed, up, for_lua, seconds) for seconds in (0, 60))
        cases.append(Case("nginx-lua-sha1", lua, redis=for_lua))
        cases.append(Case("nginx-lua-sha256", lua, "HMAC-SHA256", for_lua))
        cases.append(Case("nginx-lua-remembering", remembering, redis=for_lua))
    if any(wants(given, f"countersign-{name}") for name in ("sha1", "sha256", "bearer")):
        servers.fill(bed, binaries, redis.url, TOKENS, TOKENS)
        one = servers.Countersign(bed, binaries, "countersign", redis.url, up)
        cases.append(Case("countersign-sha1", one, redis=redis))
        cases.append(Case("countersign-sha256", one, "HMAC-SHA256", redis))
        cases.append(Case("countersign-bearer", one, "bearer"))
    if given.only and "countersign-embedded" in given.only:
        store = servers.embedded(bed, "one")
        servers.fill(bed, binaries, store, TOKENS, TOKENS)
        cases.append(Case("countersign-embedded", servers.Countersign(bed, binaries, "embedded", store, up)))
    return [case for case in cases if wants(given, case.name)], redis


def threads(bed, binaries):
    """One thread and two in the same surroundings: nothing has a core of its own, or two threads would be compared on a
    core that they share to one on a core that it has. What such surroundings cost of themselves nginx's workers tell."""
    cores = bed.cores.all
    upstream = servers.nginx(bed, "upstream", cores, called="upstream-free")
    redis = servers.Redis(bed, "redis-free", cores)
    servers.fill(bed, binaries, redis.url, TOKENS)
    cases = []
    for count in (1, 2):
        name = f"nginx-{count}-worker{'s' * (count - 1)}"
        cases.append(Case(name, servers.nginx(bed, "plain", cores, name, upstream=upstream.port, workers=count), cores=cores))
        server = servers.Countersign(
            bed, binaries, f"countersign-free-{count}", redis.url, upstream.port, threads=count, cores=cores
        )
        cases.append(Case(f"countersign-{count}-thread{'s' * (count - 1)}", server, redis=redis, cores=cores))
    return cases


def closed(bed, binaries, given, cases, figures):
    for number in range(given.rounds):
        for case in cases:
            words = ["--connections", CONNECTIONS, "--seconds", given.seconds, "--warm", given.seconds / 3]
            measured = case.load(bed, binaries, "closed", *words)
            figures.setdefault(case.name, []).append(measured)
            cost = " + ".join(f"{value:.1f} µs {name}" for name, value in measured["cpu_micros"].items())
            idle = [measured["idle_cores"][place] for place in bed.cores.other_places]
            machine.note(
                f"round {number + 1} {case.name:24} {cost:32} {measured['per_second']:8.0f}/s  cores: server "
                f"{measured['share']['server']:.2f}, generator {measured['share']['generator']:.2f}, "
                f"other cores idle {sum(idle) / len(idle):.2f}"
            )


def latency(bed, binaries, given, cases, costs):
    """At 2,000 requests a second, and at half of what nginx can."""
    half = int(median([one["per_second"] for one in costs["nginx"]]) / 2)
    compared = [case for case in cases if case.name in ("nginx", "nginx-lua-sha1", "countersign-sha1")]
    found = {}
    for rate in (SLOW_RATE, half):
        for number in range(given.rounds):
            for case in compared:
                peak = median([one["per_second"] for one in costs[case.name]])
                if peak * 0.95 < rate:
                    continue
                measured = case.load(bed, binaries, "open", "--rate", rate, "--seconds", given.seconds)
                of_rate = "slow" if rate == SLOW_RATE else "half"
                found.setdefault(of_rate, {}).setdefault(case.name, []).append(measured)
                spread = measured["latency_micros"]
                machine.note(
                    f"round {number + 1} {case.name:24} {rate:6}/s  p50 {spread['p50']:7.0f} µs  "
                    f"p99 {spread['p99']:7.0f} µs"
                )
    found["rates"] = {"slow": SLOW_RATE, "half": half}
    return found


def memory(bed, binaries, cases):
    """Resident memory of each process as it is after its load, and with idle connections."""
    found = {}
    for case in cases:
        if case.name not in ("nginx", "nginx-lua-sha1", "countersign-sha1"):
            continue
        plain = case.process.resident_mib()
        words = ["idle", "--server", f"127.0.0.1:{case.process.port}", "--connections", IDLE, *case.words]
        command = [*bed.cores.on(bed.cores.others), str(binaries["generator"]), *map(str, words)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holding:
            said = holding.stdout.readline()
            if '"idle"' not in said:
                raise SystemExit(f"{case.name} could not hold {IDLE} connections: {said}")
            # What a server frees once connections are quiet goes back to the system a moment later.
            time.sleep(3)
            idle = case.process.resident_mib()
            holding.communicate()
        found[case.name] = {"loaded_mib": plain, "idle_mib": idle}
        machine.note(f"{case.name:24} {plain:6.1f} MiB after load, {idle:6.1f} MiB with {IDLE} idle connections")
    return found


def replays(bed, binaries, upstream, redis):
    gateways = [servers.Countersign(bed, binaries, f"replay-{number}", redis.url, upstream.port) for number in (1, 2)]
    # Both are signed for by the first one's address.
    first, second = gateways
    second.process.stop()
    conf = bed.folder / "replay-2.toml"
    text = conf.read_text().replace(f'base_url = "http://127.0.0.1:{second.port}"', f'base_url = "http://127.0.0.1:{first.port}"')
    conf.write_text(text)
    command = [binaries["countersign"], "serve", "--config", conf]
    again = bed.start("replay-2-again", command, second.port, bed.cores.server, stdout=second.access_log)
    words = ["replay", "--server", f"127.0.0.1:{first.port}", "--server", f"127.0.0.1:{second.port}"]
    words += ["--signatures", 2000, "--copies", 16, "--tokens", TOKENS]
    found = bed.generate(binaries["generator"], *words)
    first.process.stop()
    again.stop()
    return found


def growth(bed, binaries, given, upstream, base):
    """The same server and request, with more of one thing each."""
    up, redis = upstream.port, base.redis
    many = servers.Redis(bed, "redis-many")
    began = time.monotonic()
    servers.fill(bed, binaries, many.url, given.consumers)
    machine.note(f"{given.consumers} consumers were made in {time.monotonic() - began:.0f} s")
    crowd = servers.Countersign(bed, binaries, "countersign-many", many.url, up)
    routed = servers.Countersign(bed, binaries, "countersign-routes", redis.url, up, routes=1000)
    return [
        Case("base", base.server, redis=redis),
        Case("consumers", crowd, redis=many, among=given.consumers),
        Case("routes", routed, redis=redis),
        Case("parameters", base.server, redis=redis, parameters=10),
    ]


def verify(bed, binaries, given):
    found = {}
    for method in ("HMAC-SHA1", "HMAC-SHA256"):
        words = ["verify", "--method", method, "--tokens", 10_000, "--rounds", 10 if given.quick else 30]
        rounds = [bed.generate(binaries["generator"], *words, cores=bed.cores.server) for _ in range(given.rounds)]
        found[method] = {"micros": [one["micros"] for one in rounds]}
    few, many = (instructions(bed, binaries, rounds) for rounds in (1, 3))
    found["HMAC-SHA1"]["instructions"] = (many - few) / (2 * 500)
    return found


def instructions(bed, binaries, rounds):
    """Under callgrind, of a whole run: two runs of different length tell what one verification takes."""
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={bed.folder}/callgrind.out"]
    command += [str(binaries["generator"]), "verify", "--tokens", "500", "--rounds", str(rounds)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True)
    for line in done.stderr.splitlines():
        if "Collected" in line:
            return int(line.split(":")[1].split()[0])
    raise RuntimeError("callgrind counted nothing")


class Nonces:
    """Octets a nonce in a Redis of its own, which is started early: what is claimed must be later than the store."""

    def __init__(self, bed, binaries, upstream):
        self.redis = servers.Redis(bed, "redis-nonces")
        servers.fill(bed, binaries, self.redis.url, TOKENS)
        self.case = Case(
            "nonces", servers.Countersign(bed, binaries, "nonces", self.redis.url, upstream.port), redis=self.redis
        )
        self.born = time.time()

    def measure(self, bed, binaries):
        minute = int(self.born) // 60 + 1
        while time.time() < (minute + 1) * 60:
            time.sleep(1)
        self.case.load(bed, binaries, "closed", "--seconds", 0.5, "--warm", 0.5)
        before = self.redis.used_memory()
        words = ["--connections", CONNECTIONS, "--warm", 0, "--seconds", 600, "--requests", MINUTE_OF_NONCES]
        measured = self.case.load(bed, binaries, "closed", *words, "--minute", minute)
        octets = (self.redis.used_memory() - before) / measured["requests"]
        return {"octets": octets, "nonces": measured["requests"], "per_second": measured["per_second"]}


def median(values):
    ordered = sorted(values)
    return ordered[len(ordered) // 2] if len(ordered) % 2 else sum(ordered[len(ordered) // 2 - 1 :][:2]) / 2
