#!/usr/bin/env python3
"""Runs every client against the gateway, over each store, and prints a table of client and step.

usage: run.py BUILD-FOLDER [CLIENT…]      BUILD-FOLDER holds debug/countersign and what the clients need
"""

import json
import os
import queue
import subprocess
import sys

from clients import clients
from stack import Stack
from steps import COLUMNS, STEPS, judge

STORES = ("embedded", "redis")
CLIENT_SECONDS = 30
FORM = "application/x-www-form-urlencoded"
FIELDS = ["oauth_consumer_key", "oauth_consumer_secret", "oauth_verifier", "store_base_url"]


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    build, only = os.path.abspath(sys.argv[1]), sys.argv[2:]
    chosen = [client for client in clients(build) if not only or client.name in only]
    rows, faults = [], []
    for store in STORES:
        try:
            with Stack(os.path.join(build, "debug", "countersign"), store) as stack:
                rows += run_store(stack, chosen)
        except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
            faults.append(f"{store}: {error}")

    table(rows)
    for client in chosen:
        for step, reason in client.omits.items():
            print(f"omitted: {client.name}, {step}: {reason}")
    faults += [f"{name}: {step}: {fault}" for name, outcome in rows for step in outcome for fault in outcome[step]]
    for fault in faults:
        print(f"FAILED: {fault}")
    done = [step for _, outcome in rows for step in outcome.values()]
    passed = sum(1 for step in done if not step)
    failed = max(len(done) - passed, 1 if faults or not done else 0)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


def run_store(stack, chosen):
    """Every client with every method it knows: (name, outcome) rows."""
    rows = []
    for client in chosen:
        for method in client.methods:
            name = f"{client.name}, {method}, {stack.store}"
            rows.append((name, dance(stack, client, method)))
            print(f"   {name}: {'FAILED' if any(rows[-1][1].values()) else 'ok'}", flush=True)
    return rows


def dance(stack, client, method):
    """One client's whole life with one signature method: step → its faults; an omitted step is absent.

    With HMAC-SHA256 the client acts while the gateway still waits for the answer to its verifier POST, as many partners
    do; with HMAC-SHA1 it acts afterwards.
    """
    steps = [one for one in STEPS if one["name"] not in client.omits]
    outcome = {name: [] for name in COLUMNS if name not in client.omits}
    try:
        made = stack.create(f"{client.name}-{method}")
        with stack.activated(made, during=method == "HMAC-SHA256") as (path, kind, posted):
            lines, complaint = run_client(client, task(stack, method, posted, steps))
        status = stack.status(made["id"])
    except (OSError, RuntimeError, queue.Empty) as error:
        return {name: [f"activation failed: {error!r}"] for name in outcome}
    shape = (path, kind, posted.get("store_base_url"), sorted(posted))
    if shape != (f"/{made['name']}", FORM, stack.base_url + "/", FIELDS):
        outcome["verifier"].append(f"the verifier POST is not Magento's: {shape}")

    sent = stack.recorder.take()
    calls = dict(zip((one["name"] for one in steps), sent[2:]))
    for name in ("request token", "access token"):
        if name not in lines:
            outcome[name].append(complaint or "the client said nothing")
    consumer = {"key": posted.get("oauth_consumer_key"), "integration": made["id"], "name": made["name"]}
    for one in steps:
        outcome[one["name"]] += judge(one, lines.get(one["name"]), calls.get(one["name"]), consumer)
    if status != "active":
        outcome["access token"].append(f"the integration is {status}")
    outcome["replay"] += replay(stack, sent)
    return outcome


def task(stack, method, posted, steps):
    """What a client reads: the credentials that the partner's endpoint was sent, and what to do with them."""
    return {
        "base_url": stack.base_url,
        "request_token_url": stack.base_url + "/oauth/token/request",
        "access_token_url": stack.base_url + "/oauth/token/access",
        "consumer_key": posted.get("oauth_consumer_key"),
        "consumer_secret": posted.get("oauth_consumer_secret"),
        "verifier": posted.get("oauth_verifier"),
        "signature_method": method,
        "steps": steps,
    }


def run_client(client, document):
    """Starts the client; its lines by step, and what it complained of."""
    try:
        ended = subprocess.run(
            client.command, input=json.dumps(document).encode(), capture_output=True, timeout=CLIENT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return {}, str(error)
    lines = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith(b"{")]
    complaint = ended.stderr.decode(errors="replace").strip()[-600:]
    return {line["step"]: line for line in lines}, complaint


def replay(stack, sent):
    """Every recorded request once more, byte for byte: none is served."""
    if len(sent) < 3:
        return ["there is nothing to replay"]
    served = stack.upstream.served
    faults = []
    for request in sent:
        status = stack.send_raw(request.raw)
        if status != 401:
            faults.append(f"{request.method} {request.target}: {status}, not 401")
    if stack.upstream.served != served:
        faults.append("a replay reached upstream")
    return faults


def table(rows):
    width = max((len(name) for name, _ in rows), default=0)
    for at, column in enumerate(COLUMNS):
        print(f"{'':{width}} {' |' * at} {column}")
    for name, outcome in rows:
        marks = ("-" if step not in outcome else "F" if outcome[step] else "." for step in COLUMNS)
        print(f"{name:{width}}  {' '.join(marks)}")
    print("(. passed, F failed, - omitted)")


main()
