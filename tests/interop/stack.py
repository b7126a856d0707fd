"""One gateway with its store, upstream, partner endpoint and recorder, all as real processes and sockets."""

import base64
import concurrent.futures
import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from servers import Callback, Echo, Recorder

CONFIG = """
[public]
listen = ["127.0.0.1:{public}"]
base_url = "http://127.0.0.1:{recorder}"

[public.limits]
connections = 256

[admin]
listen = "127.0.0.1:{admin}"

[store]
url = "{store}"
encryption_keys = ["{key}"]

[oauth]
signature_methods = ["HMAC-SHA256", "HMAC-SHA1"]

[callbacks]
timeout = "60s"
allow = ["127.0.0.1/32:{callback}"]

[upstreams.storefront]
targets = ["http://127.0.0.1:{upstream}"]

[[resources]]
id = "Interop_Catalog::products"
title = "Products"

[[resources]]
id = "Interop_Sales::orders"
title = "Orders"

[[routes]]
path = "/rest/{{store?}}/V1/products"
methods = ["GET", "POST"]
upstream = "storefront"
resources = ["Interop_Catalog::products"]

[[routes]]
path = "/rest/{{store?}}/V1/products/{{sku}}"
methods = ["GET", "PUT", "DELETE"]
upstream = "storefront"
resources = ["Interop_Catalog::products"]

[[routes]]
path = "/rest/{{store?}}/V1/orders/{{id}}"
methods = ["GET"]
upstream = "storefront"
resources = ["Interop_Sales::orders"]
"""

START_SECONDS = 30


class Stack:
    """Use as a context: everything that was started is stopped at its end."""

    def __init__(self, binary, store):
        self.binary, self.store = binary, store
        self.folder = tempfile.mkdtemp(prefix="countersign-interop-")
        self.processes = []
        self.upstream, self.callback, self.recorder = Echo(), Callback(), Recorder()
        self.password = secrets.token_urlsafe(18)

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for server in (self.upstream, self.callback, self.recorder):
            server.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self):
        public, admin = free_port(), free_port()
        self.gateway = ("127.0.0.1", public)
        self.recorder.gateway = self.gateway
        self.base_url = f"http://127.0.0.1:{self.recorder.port}"
        self.admin_url = f"http://127.0.0.1:{admin}"
        config = CONFIG.format(
            public=public,
            admin=admin,
            recorder=self.recorder.port,
            callback=self.callback.port,
            upstream=self.upstream.port,
            store="embedded:store" if self.store == "embedded" else self.redis(),
            key=base64.b64encode(secrets.token_bytes(32)).decode(),
        )
        self.config = os.path.join(self.folder, "countersign.toml")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(config)

        subprocess.run(
            [self.binary, "admin", "create", "--config", self.config, "--username", "admin", "--role", "admin"],
            cwd=self.folder,
            env=os.environ | {"COUNTERSIGN_ADMIN_PASSWORD": self.password},
            stdin=subprocess.DEVNULL,
            check=True,
        )
        self.log = os.path.join(self.folder, "gateway.log")
        gateway = self.run([self.binary, "serve", "--config", self.config], self.log)
        wait_until("the gateway is ready", gateway, lambda: self.ask("GET", self.admin_url + "/health/ready"), self.tail)
        # The token is asked of the gateway itself, so that the recorder holds what the clients send and nothing else.
        sign_in = f"http://127.0.0.1:{public}/rest/V1/integration/admin/token"
        self.token = self.ask("POST", sign_in, {"username": "admin", "password": self.password})

    def redis(self):
        port = free_port()
        options = ["--bind", "127.0.0.1", "--port", str(port), "--dir", self.folder]
        kept = ["--save", "", "--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction"]
        redis = self.run(["redis-server", *options, *kept], os.path.join(self.folder, "redis.log"))
        wait_until("redis-server listens", redis, lambda: socket.create_connection(("127.0.0.1", port)).close(), str)
        return f"redis://127.0.0.1:{port}"

    def run(self, command, log):
        with open(log, "wb") as output:
            process = subprocess.Popen(
                command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        self.processes.append(process)
        return process

    def tail(self):
        """The end of the gateway's log."""
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return "".join(file.readlines()[-20:])

    def ask(self, method, url, body=None, token=None):
        request = urllib.request.Request(url, method=method)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                text = response.read()
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {url}: {error.code} {error.read().decode(errors='replace')}") from error
        return json.loads(text) if text else None

    def create(self, name):
        """A new integration whose endpoint is the partner's."""
        wanted = {
            "name": name,
            "email": "partner@example.com",
            "endpoint": f"http://127.0.0.1:{self.callback.port}/{name}",
            "all_resources": False,
            "resources": ["Interop_Catalog::products"],
        }
        return self.ask("POST", self.admin_url + "/api/v1/integrations", wanted, self.token)

    @contextlib.contextmanager
    def activated(self, integration, during):
        """Activates it and yields what the partner's endpoint received: path, content type, fields. The body runs while
        the verifier POST still waits for its answer if `during`, else after it."""
        gate = self.callback.gate
        gate.clear() if during else gate.set()
        url = f"{self.admin_url}/api/v1/integrations/{integration['id']}/activate"
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            activation = pool.submit(self.ask, "POST", url, {}, self.token)
            try:
                if not during:
                    activation.result(30)
                yield self.callback.received.get(timeout=10)
            finally:
                gate.set()
            answer = activation.result(30)
        if answer.get("exchange") is not True:
            raise RuntimeError(f"activation was no exchange: {answer}")

    def status(self, integration):
        return self.ask("GET", f"{self.admin_url}/api/v1/integrations/{integration}", token=self.token)["status"]

    def send_raw(self, raw):
        """Sends recorded bytes once more, and returns the status of the answer (0: there was none)."""
        with socket.create_connection(self.gateway, timeout=30) as connection:
            connection.sendall(raw)
            words = connection.makefile("rb").readline().split(b" ")
        return int(words[1]) if len(words) > 1 else 0


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def wait_until(what, process, probe, log):
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            probe()
            return
        except (OSError, RuntimeError) as error:
            if process.poll() is not None:
                raise RuntimeError(f"{process.args[0]} ended with {process.returncode}\n{log()}") from error
            if time.monotonic() > deadline:
                raise RuntimeError(f"not in {START_SECONDS} s: {what}: {error}\n{log()}") from error
            time.sleep(0.05)
