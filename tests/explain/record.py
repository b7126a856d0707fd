#!/usr/bin/env python3
"""Misuses real client libraries, records what they send, and asks `countersign explain` what was wrong.

usage: record.py BUILD-FOLDER [--write]

BUILD-FOLDER holds debug/countersign and interop/ (what tests/run installs). Fails when an answer isn't the mistake that the
case makes. --write also writes recorded.jsonl, which a Rust test replays without any library, and the table of README.md.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
NODE = os.path.join(HERE, "..", "interop")

TASK = {
    "consumer_key": "ck0123456789abcdef0123456789abcd",
    "consumer_secret": "kd94hf93+k423kf4/4z",
    "token": "tkfedcba9876543210fedcba98765432",
    "token_secret": "pfkkdh=i9sl3r4s00",
    "old_consumer_secret": "before-the-rotation",
    "old_token_secret": "before-reauthorize",
    "request_token_secret": "of-the-request-token",
}
INNER = {"base_url": "https://shop.example"}

# Library: (case, names expected, what is otherwise known to the server).
PYTHON = [
    ("right", "", {}),
    ("http URL", "E1", {"base_url": "https://HERE"}),
    ("https URL", "E2", {}),
    ("inner address", "E7", INNER),
    ("behind a proxy", "E8", {}),
    ("www", "E6", {"base_url": "http://shop.example"}),
    ("prefix", "E14", {}),
    ("slash", "E12", {}),
    ("query", "E20", {}),
    ("one parameter", "E37", {}),
    ("query twice", "E32", {}),
    ("form", "E46", {}),
    ("form type", "E49", {}),
    ("method", "E71", {}),
    ("no token secret", "E73", {}),
    ("exchanged secrets", "E76", {}),
    ("key for secret", "E80", {}),
    ("line break", "E79", {}),
    ("space", "E79", {}),
    ("str(None)", "E85", {}),
    ("empty", "E86", {}),
    ("quotes", "E87", {}),
    ("cut", "E89", {}),
    ("old consumer secret", "E81", {}),
    ("old token secret", "E82", {}),
    ("request token's secret", "E83", {}),
    ("verifier as secret", "E84", {}),
    ("no token", "E90", {}),
    ("token added", "E107", {}),
    ("version removed", "E106", {}),
    ("callback encoded", "E112", {}),
    ("clock", "N1", {"received_at": 1700000000}),
    ("milliseconds", "E109", {}),
    ("clock read twice", "E110", {}),
    ("SHA1 for SHA256", "E91", {}),
    ("in clear", "E102", {}),
    ("hexdigest", "E95", {}),
    ("encodebytes", "E101", {}),
    ("no padding", "E97", {}),
    ("plain hash", "E93", {}),
    ("http URL, no query", "E1 E20", {"base_url": "https://HERE"}),
    ("no query, no token secret", "E20 E73", {}),
]
OAUTH_1_0A = [
    ("right", "", {}),
    ("last_ampersand", "E74", {}),
    ("JSON as data", "E47", {}),
    ("JSON as a form", "E50", {}),
    ("form not given", "E46", {}),
    ("default port", "E3", {"base_url": "http://shop.example"}),
    ("host as typed", "E5", {"base_url": "http://shop.example"}),
    ("no path", "E18", {}),
    ("plus", "E25", {}),
    ("encoded names", "E24", {}),
    ("second =", "E35", {}),
    ("array names", "E28", {}),
    ("String(array)", "E31", {}),
    ("HTML", "E38", {}),
    ("override", "E72", {}),
    ("double path encoding", "E10", {}),
    ("arguments exchanged", "E94", {}),
    ("hex", "E95", {}),
    ("base64url", "E96|E97", {}),
    ("base64 of hex", "E100", {}),
    ("SHA1 for SHA256", "E91", {}),
    ("undefined", "E85", {}),
]
CASES = {
    "requests-oauthlib (Python)": ("client.py", PYTHON),
    "oauth-1.0a (Node)": ("oauth-1.0a.js", OAUTH_1_0A),
    "oauth (Node)": (
        "oauth.js",
        [("right", "", {}), ("repeated names", "E27", {}), ("no token secret", "E73", {}), ("line break", "E79", {})],
    ),
    "Net::OAuth (Perl)": (
        "net-oauth.pl",
        [
            ("right", "", {}),
            ("one value a name", "E29", {}),
            ("joined strings", "E42", {}),
            ("UTF-8 octets", "E67", {}),
            ("encoded fields", "E24", {}),
            ("no query", "E20", {}),
        ],
    ),
    "PECL oauth (PHP)": (
        "pecl-oauth.php",
        [
            ("right", "", {}),
            ("one value a name", "E29", {}),
            ("JSON without a type", "E50", {}),
            ("false", "E85", {}),
            ("urlencoded secret", "E78", {}),
        ],
    ),
    "oauth (Ruby)": (
        "oauth.rb",
        [
            ("right", "", {}),
            ("escaped secrets", "E78", {}),
            ("nil secret", "E73", {}),
            ("inspect", "E85", {}),
            ("slash lost", "E13", {}),
            ("encode64", "E101", {}),
            ("encoded twice", "E98", {}),
        ],
    ),
    "gomodule/oauth1 (Go)": (
        "gomodule",
        [
            ("right", "", {}),
            ("query not given", "E20", {}),
            ("form not given", "E46", {}),
            ("form as given", "", {}),
            ("encoded form", "E53", {}),
            ("slash", "E13", {}),
            ("default method", "E71", {}),
            ("site's root", "E17", {}),
            ("no port", "E4", {}),
        ],
    ),
    "mrjones/oauth (Go)": (
        "mrjones",
        [("right", "", {}), ("decoded path", "E9", {}), ("raw names", "E58", {})],
    ),
}


class Recorder:
    """Answers every request with 200 and keeps its octets."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.authority = "127.0.0.1:%d" % self.socket.getsockname()[1]
        self.requests = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            connection, _ = self.socket.accept()
            with connection:
                connection.settimeout(10)
                raw = self.read(connection)
                if raw:
                    self.requests.append(raw)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")

    @staticmethod
    def read(connection):
        raw = b""
        while b"\r\n\r\n" not in raw:
            more = connection.recv(65536)
            if not more:
                return raw
            raw += more
        head, _, body = raw.partition(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
            if name.lower() == b"transfer-encoding":
                while not raw.endswith(b"0\r\n\r\n"):
                    raw += connection.recv(65536)
                return raw
            if name.lower() == b"expect":
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        while len(body) < length:
            more = connection.recv(65536)
            raw, body = raw + more, body + more
        return raw

    def take(self):
        taken, self.requests = self.requests, []
        return taken


def command(build, file):
    """How a library's script is started, and where."""
    interop, path = os.path.join(build, "interop"), os.path.join(HERE, file)
    if file.endswith(".py"):
        return [os.path.join(interop, "python", "bin", "python"), path], HERE
    if file.endswith(".js"):
        return ["node", path], NODE
    if file.endswith(".pl"):
        return ["/usr/bin/perl", path], HERE
    if file.endswith(".php"):
        return ["/usr/bin/php", path], HERE
    if file.endswith(".rb"):
        return ["/usr/bin/ruby", path], HERE
    return [os.path.join(interop, f"explain-{file}")], HERE


def record(build, recorder, file, case):
    """The request that the library sends in this case."""
    start, folder = command(build, file)
    task = TASK | {"url": f"http://{recorder.authority}"}
    recorder.take()
    ended = subprocess.run(
        [*start, case], input=json.dumps(task).encode(), cwd=folder, capture_output=True, timeout=60, check=False
    )
    for _ in range(50):
        sent = recorder.take()
        if sent:
            return sent[-1]
        time.sleep(0.02)
    raise RuntimeError(f"nothing was sent: {ended.stderr.decode(errors='replace')[-400:]}")


def secrets(recorder, more):
    known = {
        "consumer_key": TASK["consumer_key"],
        "consumer_secret": TASK["consumer_secret"],
        "token": TASK["token"],
        "token_secret": TASK["token_secret"],
        "request_token": "rtfedcba9876543210fedcba98765432",
        "request_token_secret": TASK["request_token_secret"],
        "previous_consumer_secrets": [TASK["old_consumer_secret"]],
        "previous_token_secrets": [TASK["old_token_secret"]],
        "base_url": f"http://{recorder.authority}",
    }
    return {
        name: value.replace("HERE", recorder.authority) if isinstance(value, str) else value
        for name, value in (known | more).items()
    }


def ask(build, request, known):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(known, file)
        file.flush()
        ended = subprocess.run(
            [os.path.join(build, "debug", "countersign"), "explain", "--secrets", file.name, "--format", "json"],
            input=request,
            capture_output=True,
            check=False,
        )
    if ended.returncode:
        raise RuntimeError(ended.stderr.decode(errors="replace"))
    return json.loads(ended.stdout)


def fits(expected, answer):
    found = [one["id"] for one in answer["diagnosis"]]
    if not expected:
        return answer["result"] == "valid"
    if "|" in expected:
        return len(found) == 1 and found[0] in expected.split("|")
    return sorted(found) == sorted(expected.split())


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    build, writes = os.path.abspath(sys.argv[1]), "--write" in sys.argv[2:]
    recorder, lines, faults = Recorder(), [], 0
    for library, (file, cases) in CASES.items():
        for case, expected, more in cases:
            try:
                request = record(build, recorder, file, case)
                known = secrets(recorder, more)
                answer = ask(build, request, known)
            except (OSError, RuntimeError, subprocess.TimeoutExpired) as error:
                print(f"FAILED: {library}: {case}: {error}")
                faults += 1
                continue
            found = " ".join(one["id"] for one in answer["diagnosis"]) or answer["result"]
            if not fits(expected, answer):
                faults += 1
                print(f"FAILED: {library}: {case}: {found}, not {expected or 'valid'}")
            lines.append(
                {
                    "library": library,
                    "case": case,
                    "expected": expected.replace("|", " ").split() if "|" not in expected else [found],
                    "request": request.decode("latin-1"),
                    "secrets": known,
                }
            )
    names = {name for line in lines for name in line["expected"]}
    print(f"{len(lines)} requests of {len(CASES)} libraries, {len(names)} mistakes, {faults} failed")
    if writes and not faults:
        write(lines)
    sys.exit(1 if faults else 0)


def write(lines):
    with open(os.path.join(HERE, "recorded.jsonl"), "w") as file:
        for line in lines:
            file.write(json.dumps(line, ensure_ascii=True) + "\n")
    path = os.path.join(HERE, "README.md")
    with open(path) as file:
        head = file.read().split("| mistake |")[0]
    rows = sorted(
        (int(name[1:]) + (1000 if name[0] == "N" else 0), name, line["library"], line["case"])
        for line in lines
        for name in line["expected"]
    )
    with open(path, "w") as file:
        file.write(head + "| mistake | proved by | case |\n|---|---|---|\n")
        file.writelines(f"| {name} | {library} | {case} |\n" for _, name, library, case in rows)


main()
