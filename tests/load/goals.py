"""The goals, what was measured of each, and the table."""

from bench import IDLE, median


def judge(figures, given):
    """One row a goal that was measured: value, least and most, first mark, goal, and whether the first mark is met; what
    has no goal is told beside."""
    closed, rows = figures["closed"], []
    nginx = closed["nginx"]

    def row(number, what, values, mark, goal, unit="", more_is_better=False, met=None):
        value = median(values)
        limit = mark if mark is not None else goal
        if met is None and limit is not None:
            met = value >= limit if more_is_better else value <= limit
        sign = "≥" if more_is_better else "≤"
        bound = lambda one: "" if one is None else f"{sign} {one:g}{unit}"
        rows.append(
            {
                "goal": number,
                "what": what,
                "value": value,
                "least": min(values),
                "most": max(values),
                "unit": unit,
                "mark": bound(mark),
                "reach": bound(goal),
                "met": met,
            }
        )

    def to_nginx(name):
        return [one["cpu_micros"]["server"] / base["cpu_micros"]["server"] for one, base in zip(closed[name], nginx)]

    def whole(one):
        return one["cpu_micros"]["server"] + one["cpu_micros"].get("redis", 0)

    ours, lua = closed.get("countersign-sha1"), closed.get("nginx-lua-sha1")
    if ours:
        row("G1", "CPU a verified request / nginx plain, HMAC-SHA1", to_nginx("countersign-sha1"), 1.5, 1.15)
    if "countersign-sha256" in closed:
        row("G1", "the same, HMAC-SHA256", to_nginx("countersign-sha256"), 1.5, 1.15)
    if ours and lua:
        ratios = [whole(peer) / whole(one) for peer, one in zip(lua, ours)]
        row("G2", "CPU with Redis's, nginx + Lua / ours", ratios, 4, 5, more_is_better=True)
    if "countersign-sha256" in closed and "nginx-lua-sha256" in closed:
        ratios = [whole(peer) / whole(one) for peer, one in zip(closed["nginx-lua-sha256"], closed["countersign-sha256"])]
        row("G2", "the same, HMAC-SHA256", ratios, 4, 5, more_is_better=True)
    if ours and "nginx-lua-remembering" in closed:
        ratios = [whole(peer) / whole(one) for peer, one in zip(closed["nginx-lua-remembering"], ours)]
        row("G2", "to one that lets a revoked token pass for a minute", ratios, None, None, more_is_better=True)
    if ours and lua:
        ratios = [one["per_second"] / peer["per_second"] for peer, one in zip(lua, ours)]
        row("G3", "requests/s / nginx + Lua's", ratios, None, 4.5, more_is_better=True)
    if "countersign-bearer" in closed:
        row("G4", "CPU a bearer request (cached) / nginx plain", to_nginx("countersign-bearer"), None, 0.95)
    latency(figures["latency"], row)
    memory = figures["memory"]
    if "countersign-sha1" in memory:
        ratio = memory["countersign-sha1"]["idle_mib"] / memory["nginx"]["idle_mib"]
        row("G7", f"memory with {IDLE} idle connections / nginx's", [ratio], None, 1.25)
    if "nonces" in figures:
        row("G8", "Redis octets a nonce, at 20,000/s", [figures["nonces"]["octets"]], 10, 10, " B")
    if ours:
        row("G9", "Redis CPU a nonce, 64 waiting", [one["cpu_micros"]["redis"] for one in ours], None, 3, " µs")
    if "replays" in figures:
        replays = figures["replays"]
        row("G10", f"replays accepted, of {replays['sent']} sent", [replays["accepted_replays"]], 0, 0)
        checked = [one["requests"] for name, all_of in closed.items() if "countersign" in name for one in all_of]
        what = f"fresh nonces refused, of {sum(checked):.1e}"
        # Any other answer than 200 would have ended the run.
        row("G10", what, [replays["wrongly_refused"]], 0, 0)
    if "verify" in figures:
        of = figures["verify"]
        row("G11", "verification alone, HMAC-SHA1", of["HMAC-SHA1"]["micros"], None, 1.0, " µs")
        row("G11", "the same, HMAC-SHA256", of["HMAC-SHA256"]["micros"], None, 1.0, " µs")
        row("G11", "instructions of one, HMAC-SHA1", [of["HMAC-SHA1"]["instructions"]], None, 20_000)
    if "threads" in figures:
        free = figures["threads"]
        for what, many, single, mark in [
            ("CPU a request on two threads / on one", "countersign-2-threads", "countersign-1-thread", 1.0),
            ("the same surroundings: nginx, two workers / one", "nginx-2-workers", "nginx-1-worker", None),
        ]:
            pairs = zip(free[many], free[single])
            ratios = [two["cpu_micros"]["server"] / one["cpu_micros"]["server"] for two, one in pairs]
            row("G12", what, ratios, mark, mark)
    grown(figures["growth"], given, row)
    return rows


def latency(found, row):
    slow, half = found.get("slow", {}), found.get("half", {})
    if "countersign-sha1" in slow:
        pairs = zip(slow["countersign-sha1"], slow["nginx"])
        added = [one["latency_micros"]["p50"] - base["latency_micros"]["p50"] for one, base in pairs]
        row("G5", f"added p50 at {found['rates']['slow']}/s", added, None, 65, " µs")
    if "countersign-sha1" in half:
        pairs = zip(half["countersign-sha1"], half["nginx"])
        ratios = [one["latency_micros"]["p99"] / base["latency_micros"]["p99"] for one, base in pairs]
        row("G6", f"p99 / nginx's, at half its peak ({found['rates']['half']}/s)", ratios, None, 1.25)


def grown(growth, given, row):
    base = growth.get("base")
    if not base:
        return
    for name, what in [
        ("consumers", f"cost, 1,000 → {given.consumers:,} consumers"),
        ("routes", "cost, 10 → 1,000 routes"),
        ("parameters", "cost, 1 → 10 parameters"),
    ]:
        pairs = zip(growth[name], base)
        ratios = [one["cpu_micros"]["server"] / first["cpu_micros"]["server"] for one, first in pairs]
        row("G13", what, ratios, 1.1, 1.1)


def table(figures, rows, given):
    lines = []
    kind = "an impression: --quick" if given.quick else f"{given.rounds} rounds"
    pinned = "the server on a core of its own" if figures["machine"]["pinned"] else "NOT pinned: one core for all"
    lines += [f"Countersign against nginx ({kind}; {pinned}); medians (least to most)", ""]
    lines.append(f"{'server':24} {'CPU µs/request':>22} {'/ nginx':>18} {'+ Redis µs':>12} {'requests/s':>11} {'core':>6} {'gen.':>6}")
    base = figures["closed"]["nginx"]
    # Where nothing has a core of its own there is no nginx to compare with.
    free = figures.get("threads", {})
    for name, rounds in {**figures["closed"], **free}.items():
        cost = [one["cpu_micros"]["server"] for one in rounds]
        ratio = [one / first["cpu_micros"]["server"] for one, first in zip(cost, base)]
        ratio = "" if name in free else spread(ratio, 2)
        redis = [one["cpu_micros"]["redis"] for one in rounds if "redis" in one["cpu_micros"]]
        share = median([one["share"]["server"] for one in rounds])
        own = median([one["share"]["generator"] for one in rounds])
        rate = median([one["per_second"] for one in rounds])
        lines.append(
            f"{name:24} {spread(cost, 1):>22} {ratio:>18} {median(redis) if redis else 0:12.1f} "
            f"{rate:11.0f} {share:6.2f} {own:6.2f}"
        )
    lines += ["", f"{'latency, µs':24} {'rate/s':>8} {'p50':>18} {'p99':>20}"]
    for kind, rate in figures["latency"]["rates"].items():
        for name, rounds in figures["latency"].get(kind, {}).items():
            p50 = [one["latency_micros"]["p50"] for one in rounds]
            p99 = [one["latency_micros"]["p99"] for one in rounds]
            lines.append(f"{name:24} {rate:8} {spread(p50, 0):>18} {spread(p99, 0):>20}")
    lines += ["", f"{'resident memory, MiB':24} {'after load':>12} {f'{IDLE} idle':>12}"]
    for name, found in figures["memory"].items():
        lines.append(f"{name:24} {found['loaded_mib']:12.1f} {found['idle_mib']:12.1f}")
    lines += ["", f"{'goal':5} {'what':62} {'measured':>26} {'first mark':>10} {'goal':>10}  met"]
    for one in rows:
        digits = 0 if one["value"] >= 1000 else 2
        measured = f"{one['value']:.{digits}f}{one['unit']}"
        if one["least"] != one["most"]:
            measured += f" ({one['least']:.{digits}f} to {one['most']:.{digits}f})"
        met = {True: "yes", False: "NO", None: ""}[one["met"]]
        lines.append(f"{one['goal']:5} {one['what']:62} {measured:>26} {one['mark']:>10} {one['reach']:>10}  {met}")
    return "\n".join(lines)


def spread(values, digits):
    return f"{median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"
