"""The clients: unmodified libraries, how each is started, and what each can't do by its own design."""

import os

HERE = os.path.dirname(os.path.abspath(__file__))
BOTH = ("HMAC-SHA1", "HMAC-SHA256")
SHA1 = ("HMAC-SHA1",)  # all that the library knows

ONE_VALUE_A_NAME = "the library keeps one value a name"
RAW_NAMES = "the library signs names without encoding them"


class Client:
    """`methods`: signature methods the library knows. `omits`: step → why the library can't send it."""

    def __init__(self, name, command, methods=BOTH, omits=None):
        self.name, self.command, self.methods, self.omits = name, command, methods, omits or {}


def clients(build):
    """All clients; `build` is the folder that holds what was compiled or installed for them."""

    def script(interpreter, *path):
        return [interpreter, os.path.join(HERE, *path)]

    interop = os.path.join(build, "interop")
    return [
        Client(
            "python-requests-oauthlib",
            script(os.path.join(interop, "python", "bin", "python"), "python-requests-oauthlib", "client.py"),
        ),
        Client("node-oauth-1.0a", script("node", "node-oauth-1.0a", "client.js")),
        Client(
            "node-oauth",
            script("node", "node-oauth", "client.js"),
            omits={"GET duplicates": "the library signs a repeated name as a[0], a[1]"},
        ),
        # Debian's libraries belong to Debian's interpreters, whatever comes first on the path.
        Client(
            "perl-net-oauth",
            script("/usr/bin/perl", "perl-net-oauth", "client.pl"),
            omits={"GET duplicates": ONE_VALUE_A_NAME},
        ),
        Client(
            "php-pecl-oauth",
            script("/usr/bin/php", "php-pecl-oauth", "client.php"),
            omits={"GET duplicates": ONE_VALUE_A_NAME},
        ),
        Client("ruby-oauth", script("/usr/bin/ruby", "ruby-oauth", "client.rb"), methods=SHA1),
        Client("go-gomodule-oauth1", [os.path.join(interop, "go-gomodule-oauth1")], methods=SHA1),
        Client(
            "go-mrjones-oauth",
            [os.path.join(interop, "go-mrjones-oauth")],
            omits={
                "GET brackets": RAW_NAMES,
                "POST form, brackets": RAW_NAMES,
                "GET duplicates": ONE_VALUE_A_NAME,
                "GET path": "the library signs the percent-decoded path",
            },
        ),
        Client(
            "rust-oauth1-request",
            [os.path.join(build, "debug", "examples", "oauth1-request-client")],
            methods=SHA1,
            omits={"GET brackets": RAW_NAMES, "POST form, brackets": RAW_NAMES},
        ),
    ]
