"""What is measured, started: Redis, the upstream, nginx plain and with Lua, Countersign in its variants."""

import base64
import os
import resource
import socket
import subprocess
from pathlib import Path

from machine import HERE

NAMES = [
    "nginx",
    "nginx-lua-sha1",
    "nginx-lua-sha256",
    "nginx-lua-remembering",
    "countersign-sha1",
    "countersign-sha256",
    "countersign-bearer",
    "countersign-2-threads",
    "countersign-embedded",
]

RESOURCE = "Magento_Catalog::products"
TOKENS = 1000
# Of this run alone: the store is thrown away with it.
KEY = base64.b64encode(bytes(range(32))).decode()

TEMP = """
client_body_temp_path @/body;
proxy_temp_path @/proxy;
fastcgi_temp_path @/fastcgi;
uwsgi_temp_path @/uwsgi;
scgi_temp_path @/scgi;
"""


def nginx(bed, kind, cores, called=None, **words):
    folder = bed.folder / f"nginx-{called or kind}"
    folder.mkdir()
    (folder / "temp.conf").write_text(TEMP.replace("@", str(folder)))
    port = bed.port()
    text = (HERE / "nginx" / f"{kind}.conf").read_text()
    for name, value in {"folder": folder, "port": port, "here": HERE, **words}.items():
        text = text.replace(f"@{name.upper()}@", str(value))
    conf = folder / "nginx.conf"
    conf.write_text(text)
    return bed.start(folder.name, ["nginx", "-e", "stderr", "-p", folder, "-c", conf], port, cores)


def nginx_lua(bed, upstream, redis, remembered):
    """The check in Lua. `remembered`: for how many seconds credentials and grant are believed without asking Redis."""
    words = {"upstream": upstream, "redis": redis.port, "resource": RESOURCE, "remembered": remembered}
    return nginx(bed, "lua", bed.cores.server, called=f"lua-{remembered}", **words)


class Redis:
    """A redis-server without persistence."""

    def __init__(self, bed, name, cores=None):
        port = bed.port()
        command = ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        command += ["--dir", bed.folder, "--maxclients", "10000"]
        self.process = bed.start(name, command, port, cores or bed.cores.others)
        self.port = port
        self.url = f"redis://127.0.0.1:{port}"

    def ask(self, *words):
        """One command; the answer as it stands on the wire, without its type and length."""
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            command = f"*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in map(str, words))
            connection.sendall(command.encode())
            file = connection.makefile("rb")
            line = file.readline().decode().strip()
            return file.read(int(line[1:])).decode() if line.startswith("$") else line[1:]

    def used_memory(self):
        for line in self.ask("INFO", "memory").splitlines():
            if line.startswith("used_memory:"):
                return int(line.split(":")[1])
        raise RuntimeError("INFO says nothing of used_memory")

    def fill_for_lua(self, bed, generator):
        """The same credentials, in the form that oauth.lua looks for."""
        listed = subprocess.run(
            [str(generator), "credentials", "--tokens", str(TOKENS), "--among", str(TOKENS)],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            file = connection.makefile("rb")
            for line in listed.stdout.splitlines()[:TOKENS]:
                key, secret, token, token_secret = line.split()
                connection.sendall(f"SET lua:{key} \"{token} {secret}&{token_secret} {RESOURCE},\"\r\n".encode())
                if file.readline() != b"+OK\r\n":
                    raise RuntimeError("Redis did not keep a credential")


def configuration(port, admin, upstream, store, threads, routes):
    lines = [
        f'public.listen = ["127.0.0.1:{port}"]',
        f'public.base_url = "http://127.0.0.1:{port}"',
        f"public.threads = {threads}",
        f'admin.listen = "127.0.0.1:{admin}"',
        f'store.url = "{store}"',
        f'store.encryption_keys = ["{KEY}"]',
        f'upstreams.storefront.targets = ["http://127.0.0.1:{upstream}"]',
    ]
    # The default of 10,000 needs 20,256 descriptors, which not every machine allows.
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 20_256:
        lines.append("public.limits.connections = 9800")
    # The route that is called stands in the middle of the others.
    paths = [f"/rest/V1/part{number}/{{id}}/list{number % 7}" for number in range(routes - 1)]
    paths.insert(routes // 2, "/rest/V1/products/{sku}")
    for path in paths:
        lines += ["[[routes]]", f'path = "{path}"', 'methods = ["GET"]', 'upstream = "storefront"']
        lines += [f'resources = ["{RESOURCE}"]']
    lines += ["[[resources]]", f'id = "{RESOURCE}"']
    return "\n".join(lines) + "\n"


class Countersign:
    """A gateway with its defaults, but for addresses, store and routes."""

    def __init__(self, bed, binaries, name, store, upstream, *, threads=1, routes=10, cores=None, environment=None):
        self.port, self.admin = bed.port(), bed.port()
        self.access_log = bed.folder / f"{name}.access.log"
        self.conf = bed.folder / f"{name}.toml"
        self.conf.write_text(configuration(self.port, self.admin, upstream, store, threads, routes))
        command = [binaries["countersign"], "serve", "--config", self.conf]
        cores = cores or bed.cores.server
        own = {"env": {**os.environ, **environment}} if environment else {}
        self.process = bed.start(name, command, self.port, cores, stdout=self.access_log, **own)

    def forget_log(self):
        """It is written as in earnest, then emptied, so that no run fills a disk."""
        with open(self.access_log, "r+b") as file:
            file.truncate()


def fill(bed, binaries, store, consumers, bearers=0):
    words = ["fill", "--store", store, "--key", KEY, "--consumers", consumers]
    words += ["--bearers", bearers, "--resource", RESOURCE]
    bed.generate(binaries["generator"], *words, cores=bed.cores.all)


def embedded(bed, name):
    folder = Path(bed.folder) / f"store-{name}"
    folder.mkdir()
    return f"embedded:{folder}"
