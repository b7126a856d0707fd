#!/usr/bin/env python3
"""Writes signed requests, one JSON object a line, with oauthlib's base string and verdict.

    pip install oauthlib==4.0.1
    ./generate.py 5849 400 > requests.jsonl

The same seed and count give the same lines. oauthlib's client signs each request; then its spelling is changed in ways that
must not matter (order, escapes, spacing, host case, default port, ...), and half of them are tampered with in ways that may;
then oauthlib, as the server, says what it makes of that. Left out is where oauthlib is known to deviate from RFC 5849: it
decodes `oauth_*` values of query and form twice, replaces octets that are no UTF-8, drops a `;` at the end of the path and
of two header parameters of one name the first.
"""
import json
import random
import string
import sys
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from oauthlib.common import Request
from oauthlib.oauth1 import Client
from oauthlib.oauth1.rfc5849 import signature

METHODS = {
    "HMAC-SHA1": signature.verify_hmac_sha1,
    "HMAC-SHA256": signature.verify_hmac_sha256,
    "HMAC-SHA512": signature.verify_hmac_sha512,
    "PLAINTEXT": signature.verify_plaintext,
}
FORM = "application/x-www-form-urlencoded"
UNRESERVED = string.ascii_letters + string.digits + "-._~"
# What oauthlib lets stand raw in a query.
RAW = set(string.ascii_letters + string.digits + "_.-:~,*@!()/?'$")
ALPHABET = UNRESERVED + " +&=%/?#[]{}!*'();:,@$\"\\<>|^`" + "éüßж中日本\u0301🜨\u00a0\u0000\n"
HOSTS = ["shop.example", "xn--bcher-kva.example", "127.0.0.1", "[2001:db8::1]", "[::1]", "a-b.c_d.example", "localhost"]


class Generator:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def text(self, most=10, alphabet=ALPHABET):
        return "".join(self.random.choices(alphabet, k=self.random.randint(0, most)))

    def chance(self, one_in):
        return self.random.randrange(one_in) == 0

    def spell(self, text, is_form=True):
        """One of the many spellings of a text."""
        spelled = ""
        for character in text:
            if is_form and character == " " and self.chance(2):
                spelled += "+"
            elif character in UNRESERVED and not self.chance(20):
                spelled += character
            elif is_form and character in RAW and self.chance(2):
                spelled += character
            else:
                for octet in character.encode():
                    spelled += ("%%%02x" if self.chance(4) else "%%%02X") % octet
        return spelled

    def fields(self, most=4):
        names = ["a", "b", "a[0]", "a[10]", "filter[x][y]", "q", "", "é", "realm", self.text(4)]
        pairs = [(self.random.choice(names), self.text()) for _ in range(self.random.randint(0, most))]
        return [(name, value) for name, value in pairs if not name.startswith("oauth_")]

    def form(self, pairs):
        fields = []
        for name, value in pairs:
            is_bare = value == "" and name != "" and self.chance(2)
            fields.append(self.spell(name) + ("" if is_bare else "=" + self.spell(value)))
            if self.chance(20):
                fields.append("")
        return "&".join(fields)

    def respell_form(self, form):
        pairs = parse_qsl(form, keep_blank_values=True)
        self.random.shuffle(pairs)
        return self.form(pairs)

    def respell_header(self, header):
        scheme, _, rest = header.partition(" ")
        pairs = rest.split(", ")
        self.random.shuffle(pairs)
        if self.chance(3):
            scheme = self.random.choice(["oauth", "OAUTH", "oAuth"])
        return scheme + " " + self.random.choice([", ", ",", " ,", ",  ", "\t,\t"]).join(pairs)

    def respell_url(self, url):
        parts = urlsplit(url)
        authority = parts.netloc
        if self.chance(3):
            authority = authority.upper()
        if self.chance(6):
            authority = "user:pass@" + authority
        query = "?" + self.respell_form(parts.query) if parts.query else ""
        fragment = "#fragment" if self.chance(10) else ""
        return f"{parts.scheme}://{authority}{parts.path}{query}{fragment}"

    def url(self):
        scheme = self.random.choice(["http", "https"])
        host = self.random.choice(HOSTS)
        port = self.random.choice(["", "", "", ":", ":80", ":443", ":8080", ":65535"])
        segments = "".join("/" + self.spell(self.text(6, ALPHABET.replace("\n", "")), False) for _ in range(self.random.randint(0, 4)))
        path = self.random.choice([segments, segments, segments + "/", segments + "/a;b=c", "", "/%2F%2f/..//."])
        query = self.form(self.fields())
        return f"{scheme}://{host}{port}{path}{'?' + query if query else ''}"

    def request(self):
        """A request that oauthlib signed, in some spelling."""
        placement = self.random.choice(["AUTH_HEADER", "AUTH_HEADER", "AUTH_HEADER", "QUERY", "BODY"])
        method = "POST" if placement == "BODY" else self.random.choice(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"])
        body, headers = None, {}
        if placement == "BODY" or method not in ("GET", "HEAD") and self.chance(2):
            body, headers = self.form(self.fields()), {"Content-Type": FORM}
        elif method not in ("GET", "HEAD") and self.chance(3):
            body, headers = json.dumps({"a": self.text()}), {"Content-Type": "application/json"}
        once = ALPHABET if placement == "AUTH_HEADER" else ALPHABET.replace("%", "")
        printable = "".join(character for character in once if character.isprintable())
        signature_method = self.random.choice(list(METHODS))
        # A PLAINTEXT signature holds the escapes of its secrets.
        secret = UNRESERVED if signature_method == "PLAINTEXT" and placement != "AUTH_HEADER" else ALPHABET
        client = Client(
            self.text(32, UNRESERVED).ljust(32, "k"),
            client_secret=self.text(20, secret),
            resource_owner_key=self.text(32, UNRESERVED).ljust(32, "t") if not self.chance(5) else None,
            resource_owner_secret=self.text(20, secret),
            callback_uri=self.text(20, once) if self.chance(5) else None,
            verifier=self.text(20, once) if self.chance(5) else None,
            signature_method=signature_method,
            signature_type=placement,
            nonce=self.text(20, printable) or "n",
            timestamp=str(self.random.randint(1, 10**10)),
        )
        realm = self.text(8, UNRESERVED + " +%") if placement == "AUTH_HEADER" and self.chance(3) else None
        url, headers, body = client.sign(self.url(), method, body, headers, realm)
        form = body if headers.get("Content-Type") == FORM else None
        authorization = headers.get("Authorization")
        return {
            "method": method,
            "url": self.respell_url(url),
            "authorization": self.respell_header(authorization) if authorization else None,
            "form": self.respell_form(form) if form is not None else None,
            "consumer_secret": client.client_secret,
            "token_secret": client.resource_owner_secret,
            "signature_method": client.signature_method,
            "place": {"AUTH_HEADER": "authorization", "QUERY": "url", "BODY": "form"}[placement],
        }

    def tamper(self, request):
        request = dict(request)
        tampers = [self.other_secret, self.other_signature]
        if request["signature_method"] != "PLAINTEXT":
            tampers += [self.other_method, self.other_url, self.other_pairs, self.other_octet]
        self.random.choice(tampers)(request)
        return request

    def other_secret(self, request):
        name = self.random.choice(["consumer_secret", "token_secret"])
        request[name] = self.random.choice(["", request[name] + "x", request[name].strip(), quote(request[name])])

    def other_signature(self, request):
        before, name, value = request[request["place"]].partition("oauth_signature=")
        at = self.random.randint(0, 6)
        if name and not set(value[:at]) & {"&", ","}:
            self.replace(request, len(before + name) + at, UNRESERVED)

    def other_method(self, request):
        request["method"] = self.random.choice([request["method"].lower(), "POST", "PUT", "OPTIONS", "M-SEARCH"])

    def other_url(self, request):
        url = request["url"]
        changes = [("http:", "https:"), ("https:", "http:"), ("example", "example.org"), ("/", "/x/"), ("%2F", "%2f"), ("", "")]
        changes += [(".example", ".example:80"), (".example", ".example:443"), (":80/", "/"), (":443/", "/"), ("//", "//user@")]
        request["url"] = url.replace(*self.random.choice(changes), 1)

    def other_pairs(self, request):
        """Adds, drops, doubles or moves a pair."""
        base, _, query = request["url"].partition("#")[0].partition("?")
        query, form = query.split("&"), (request["form"] or "").split("&")
        place = self.random.choice([query, form] if request["form"] is not None else [query])
        at = self.random.randrange(len(place))
        pair = place[at]
        change = self.random.choice(["add", "add", "drop", "double", "move"])
        # A second signature isn't signed, and an oauth_* elsewhere would make a second placement.
        is_oauth = unquote(pair).startswith("oauth_")
        if change == "add":
            place.insert(at, self.random.choice(["a=1", "a=", "realm=x", "=", "%61=%31", ""]))
        elif change == "double" and not is_oauth:
            place.insert(at, pair)
        else:
            del place[at]
            if change == "move" and request["form"] is not None and not is_oauth:
                (form if place is query else query).append(pair)
        request["url"] = base + "?" + "&".join(query)
        if request["form"] is not None:
            request["form"] = "&".join(form)

    def other_octet(self, request):
        """One letter or digit of a value becomes another, where the `oauth_*` are."""
        starts = [at for at, character in enumerate(request[request["place"]]) if character == "="]
        self.replace(request, self.random.choice(starts) + self.random.randint(1, 3), "abcd1234")

    def replace(self, request, at, letters):
        """Replaces a letter or digit that is no part of an escape."""
        text = request[request["place"]]
        if at < len(text) and text[at].isalnum() and "%" not in text[max(at - 2, 0) : at]:
            request[request["place"]] = text[:at] + self.random.choice(letters) + text[at + 1 :]


def judge(request):
    """The same with oauthlib's base string and verdict."""
    headers = {"Authorization": request["authorization"]} if request["authorization"] else {}
    query = urlsplit(request["url"]).query
    found = signature.collect_parameters(query, request["form"], headers, exclude_oauth_signature=False)
    seen = Request(request["url"], request["method"])
    seen.params = [pair for pair in found if pair[0] != "oauth_signature"]
    seen.signature = dict(found).get("oauth_signature", "")
    uri = signature.base_string_uri(request["url"])
    base = signature.signature_base_string(request["method"], uri, signature.normalize_parameters(seen.params))
    del request["place"]
    verify = METHODS[request.pop("signature_method")]
    holds = verify(seen, request["consumer_secret"], request["token_secret"])
    return request | {"base": base, "holds": bool(holds)}


def main():
    seed, count = int(sys.argv[1]), int(sys.argv[2])
    generator = Generator(seed)
    while count > 0:
        request = generator.request()
        if generator.chance(2):
            request = generator.tamper(request)
        try:
            print(json.dumps(judge(request)))
            count -= 1
        except ValueError:
            # Tampered so that it is no URL any more.
            pass


main()
