#!/usr/bin/env python3
"""Writes corpus/TARGET/: the seeds, and what the tests' vectors hold for each target (RFC 5849's examples, oauthlib's
requests, the explainer's mistakes). The fuzzer adds to it; none of it is kept."""

import base64
import json
import shutil
from pathlib import Path

FUZZ = Path(__file__).parent
TESTS = FUZZ.parent / "tests"


def records(name):
    """The records of a file of vectors, each as its fields."""
    record = {}
    for line in (TESTS / "vectors" / name).read_text().splitlines() + [""]:
        field, separator, value = line.partition(":")
        if separator and not line.startswith("#"):
            record[field] = value.strip()
        elif not line and record:
            yield record
            record = {}


def lines(name):
    return map(json.loads, (TESTS / name).read_text().splitlines())


def found():
    """Target and octets of each."""
    requests = list(records("requests.txt")) + list(lines("oauthlib/requests.jsonl"))
    for one in requests:
        method, url, form = one["method"], one["url"], one.get("form") or ""
        header = one.get("authorization") or ""
        yield "authorization", header
        yield "base_string", f"{method}\n{url}\n{header}\n{form}"
        yield "signed", f"{method}\n{url}\n{form}"
        yield "target", url
        yield "parameters", url.partition("?")[2]
        yield "parameters", form
    for one in records("base_uri.txt"):
        yield "target", one["url"]
    for one in records("normalisation.txt"):
        yield "parameters", one["query"]
    for name in ("signatures.txt", "rsa.txt"):
        for one in records(name):
            for method in ("HMAC-SHA1", "HMAC-SHA256", "HMAC-SHA512", "PLAINTEXT", "RSA-SHA1"):
                yield "signature", one.get(method, "")
    for one in records("rsa_strict.txt"):
        for field in ("accepted", "refused"):
            if one.get(field):
                yield "rsa_key", base64.b64decode(one[field])
    for one in lines("explain/mistakes.jsonl"):
        yield "explain", one["request"]


def main():
    shutil.copytree(FUZZ / "seeds", FUZZ / "corpus", dirs_exist_ok=True)
    for number, (target, octets) in enumerate(found()):
        if octets:
            octets = octets if isinstance(octets, bytes) else octets.encode("utf-8", "surrogatepass")
            (FUZZ / "corpus" / target / f"vector-{number}").write_bytes(octets)


main()
