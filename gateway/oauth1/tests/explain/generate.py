#!/usr/bin/env python3
"""Writes mistakes.jsonl: for each row of the catalogue of client mistakes, requests that were signed with that mistake.

An implementation of its own: Python's hmac and hashlib, text operations, no code of the explainer. Each line holds the raw
request (Latin-1), the secrets file and the names that the explainer must give.

usage: generate.py > mistakes.jsonl
"""

import base64
import hashlib
import hmac
import json
import subprocess
import sys
import tempfile
import unicodedata
from urllib.parse import quote, quote_plus, unquote, unquote_plus

CK, CS = "ck" + "0123456789abcdef" * 2, "kd94hf93k423kf44"
CK = CK[:32]
TK, TS = ("tk" + "fedcba9876543210" * 2)[:32], "pfkkdhi9sl3r4s00"
RT, RTS = ("rt" + "fedcba9876543210" * 2)[:32], "requestsecret123"
SPECIAL_CS, SPECIAL_TS = "k&d94=hf9 3k", "p%f/k+k~d"
NOW = 1700000000
FORM = "application/x-www-form-urlencoded"

enc = lambda text: quote(text, safe="-._~")
enc_bytes = lambda octets: quote(octets, safe="-._~")


def rfc(pairs):
    return sorted(pairs)


def base_string(method, url, parameters, outer_url=enc, outer=enc):
    return f"{method}&{outer_url(url)}&{outer(parameters)}"


class Case:
    """A request and how its client signed it. All attributes are the client's; what isn't set is right."""

    def __init__(self, ids, **change):
        self.ids = ids.split()
        self.method, self.sent_method = "GET", None
        self.base_url, self.host = "https://shop.example", None
        self.path = "/rest/V1/products"
        self.query = "page=2&a%5Bb%5D=x%20y"
        self.body, self.content_type = None, None
        self.headers = []
        self.consumer, self.token = (CK, CS), (TK, TS)
        self.hash, self.declared = "sha1", None
        self.timestamp, self.nonce = str(NOW), "n0nce"
        self.oauth_more, self.oauth_without = [], []
        self.placement = "header"
        self.secrets = {}
        # What is signed.
        self.sign_method, self.sign_url = None, None
        self.pairs = lambda self: self.all_pairs()
        self.sort, self.name, self.value = rfc, enc, enc
        self.write = lambda name, value: f"{name}={value}"
        self.outer_url, self.outer = enc, enc
        self.key = None
        self.sign = None
        self.form = lambda digest: base64.b64encode(digest).decode()
        self.wire = enc
        self.realm = None
        self.header_extra = []
        self.tweak_oauth = lambda sent: sent
        # Nonces are drawn until the value is like this.
        self.until = lambda value: True
        for name, value in change.items():
            assert hasattr(self, name), name
            setattr(self, name, value)

    def oauth(self):
        declared = self.declared or {"sha1": "HMAC-SHA1", "sha256": "HMAC-SHA256", "sha512": "HMAC-SHA512"}[self.hash]
        pairs = [
            ("oauth_consumer_key", self.consumer[0]),
            ("oauth_nonce", self.nonce),
            ("oauth_signature_method", declared),
            ("oauth_timestamp", self.timestamp),
            ("oauth_version", "1.0"),
        ]
        if self.token:
            pairs.append(("oauth_token", self.token[0]))
        pairs = [pair for pair in pairs if pair[0] not in self.oauth_without]
        return pairs + self.oauth_more

    def fields(self, text):
        pairs = []
        for piece in (text or "").split("&"):
            if piece:
                name, _, value = piece.partition("=")
                pairs.append((unquote_plus(name), unquote_plus(value)))
        return pairs

    def q(self):
        return self.fields(self.query)

    def b(self):
        return self.fields(self.body) if self.content_type == FORM else []

    def all_pairs(self):
        return self.oauth() + self.header_extra + self.q() + self.b()

    def url(self):
        return self.sign_url or self.base_url + self.path

    def text(self):
        pairs = [(self.name(name), self.value(value)) for name, value in self.pairs(self)]
        return "&".join(self.write(*pair) for pair in self.sort(pairs))

    def base(self):
        method = self.sign_method or self.method
        return base_string(method, self.url(), self.text(), self.outer_url, self.outer).encode("latin-1", "surrogateescape")

    def right_key(self):
        return enc(self.consumer[1]) + "&" + enc(self.token[1] if self.token else "")

    def line(self):
        key = self.right_key() if self.key is None else self.key
        key = key if isinstance(key, bytes) else key.encode()
        nonce, value = self.nonce, None
        for at in range(1000):
            self.nonce = nonce if at == 0 else f"{nonce}{at}"
            digest = self.sign(key, self.base()) if self.sign else hmac.new(key, self.base(), self.hash).digest()
            value = self.form(digest)
            if self.until(value):
                break
        sent = self.tweak_oauth(self.oauth())
        target = self.path + (f"?{self.query}" if self.query else "")
        headers = [("Host", self.host or self.base_url.split("://")[1])]
        if self.placement == "header":
            parts = [f'realm="{self.realm}"'] if self.realm is not None else []
            parts += [f'{name}="{enc(text)}"' for name, text in sent + self.header_extra]
            parts.append(f'oauth_signature="{self.wire(value)}"')
            headers.append(("Authorization", "OAuth " + ", ".join(parts)))
        else:
            more = "&".join(f"{name}={enc(text) if name != 'oauth_nonce' else quote(text, safe='+=/')}" for name, text in sent)
            target += ("&" if self.query else "?") + more + f"&oauth_signature={self.wire(value)}"
        body = (self.body or "").encode()
        if self.content_type:
            headers.append(("Content-Type", self.content_type))
        if body:
            headers.append(("Content-Length", str(len(body))))
        headers += self.headers
        method = self.sent_method or self.method
        raw = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{name}: {text}\r\n" for name, text in headers) + "\r\n"
        secrets = {
            "consumer_key": CK, "consumer_secret": self.consumer[1], "token": TK, "token_secret": TS,
            "base_url": self.base_url, "received_at": NOW, "timestamp_window": 600,
        }
        if self.token:
            secrets["token_secret"] = self.token[1]
        secrets.update(self.secrets)
        secrets = {name: value for name, value in secrets.items() if value is not None}
        return {"ids": self.ids, "request": (raw.encode() + body).decode("latin-1"), "secrets": secrets}


class RsaKey:
    """A fresh key of OpenSSL's."""

    def __init__(self):
        self.file = tempfile.NamedTemporaryFile()
        self.file.write(openssl("genrsa", "2048"))
        self.file.flush()
        self.public = openssl("rsa", "-in", self.file.name, "-pubout").decode()

    def sign(self, name):
        return lambda _key, base: openssl("dgst", f"-{name}", "-sign", self.file.name, text=base)


def openssl(*arguments, text=b""):
    return subprocess.run(["openssl", *arguments], input=text, capture_output=True, check=True).stdout


RSA, OTHER_RSA = RsaKey(), RsaKey()


def rsa_case(ids, key=RSA, name="sha1", declared="RSA-SHA1", **change):
    secrets = {"rsa_public_key": RSA.public}
    return Case(ids, declared=declared, sign=key.sign(name), secrets=secrets, **change)


def pairs(change):
    """The signed pairs, changed."""
    return lambda case: change(case)


def form_case(ids, **change):
    return Case(ids, **{"method": "POST", "query": "", "content_type": FORM, "body": "name=Jane+Doe&city=K%C3%B6ln&n=1", **change})


def json_case(ids, body='{"sku":"a","qty":2}', **change):
    return Case(ids, **{"method": "POST", "query": "", "content_type": "application/json", "body": body, **change})


def each(function, text):
    return function(text)


def lower_hex(text):
    out, quoted = "", enc(text)
    at = 0
    while at < len(quoted):
        if quoted[at] == "%":
            out += quoted[at : at + 3].lower()
            at += 3
        else:
            out += quoted[at]
            at += 1
    return out


def natural(pairs):
    import re

    key = lambda text: [(0, int(piece), "") if piece.isdigit() else (1, 0, piece) for piece in re.split(r"(\d+)", text)]
    return sorted(sorted(pairs), key=lambda pair: (key(pair[0]), key(pair[1])))


def java(text):
    return quote(text, safe="-._*").replace("%20", "+").replace("~", "%7E")


def dotnet(text):
    return lower_hex_of(quote(text, safe="-._!*() ").replace(" ", "+").replace("~", "%7E"))


def lower_hex_of(quoted):
    out, at = "", 0
    while at < len(quoted):
        step = 3 if quoted[at] == "%" else 1
        out += quoted[at : at + step].lower() if step == 3 else quoted[at]
        at += step
    return out


MARKS = "q=it%27s%20(a)%21*&t=~x&p=a%2Fb%3Ac"
REPEATED = "b=1&a=3&a=1&c=2"
o, q, b = Case.oauth, Case.q, Case.b
no_query = pairs(lambda case: case.oauth() + case.b())
no_body = pairs(lambda case: case.oauth() + case.q())


def dedupe(pairs, last):
    kept = {}
    for name, value in pairs:
        if last or name not in kept:
            kept[name] = value
    return list(kept.items())


def indexed(items, form):
    names = [name for name, _ in items]
    seen, out = {}, []
    for name, value in items:
        if names.count(name) > 1:
            out.append((name + (form % seen.get(name, 0) if "%" in form else form), value))
            seen[name] = seen.get(name, 0) + 1
        else:
            out.append((name, value))
    return out


CASES = [
    Case(""), form_case(""), json_case(""), Case("", hash="sha256"), Case("", hash="sha512"), Case("", token=None),
    Case("", query=MARKS), Case("", query=REPEATED), Case("", placement="query"),
    # URL
    Case("E1", sign_url="http://shop.example/rest/V1/products"),
    Case("E2", base_url="http://shop.example", sign_url="https://shop.example/rest/V1/products"),
    Case("E3", sign_url="https://shop.example:443/rest/V1/products"),
    Case("E3", base_url="http://shop.example", sign_url="http://shop.example:80/rest/V1/products"),
    Case("E4", base_url="http://shop.example:8080", sign_url="http://shop.example/rest/V1/products"),
    Case("E5", sign_url="https://Shop.Example/rest/V1/products"),
    Case("E5", host="ShOP.example", sign_url="https://ShOP.example/rest/V1/products"),
    Case("E6", sign_url="https://www.shop.example/rest/V1/products"),
    Case("E6", base_url="https://www.shop.example", sign_url="https://shop.example/rest/V1/products"),
    Case("E7", host="10.0.0.7:8080", sign_url="http://10.0.0.7:8080/rest/V1/products"),
    Case("E7", host="10.0.0.7:8080", sign_url="http://10.0.0.7/rest/V1/products"),
    Case("E8", base_url="http://gateway:8080", host="gateway:8080", headers=[("X-Forwarded-Host", "shop.example")],
         sign_url="https://shop.example/rest/V1/products"),
    Case("E8", base_url="http://gateway", headers=[("Forwarded", 'for=1.2.3.4;host="shop.example";proto=https')],
         sign_url="https://shop.example/rest/V1/products"),
    Case("E9", path="/rest/V1/products/a%20b%2Fc", sign_url="https://shop.example/rest/V1/products/a b/c"),
    Case("E10", path="/rest/V1/products/a%20b", sign_url="https://shop.example/rest/V1/products/a%2520b"),
    Case("E11", path="/rest/V1/products/a:b,c", sign_url="https://shop.example/rest/V1/products/a%3Ab%2Cc"),
    Case("E11", path="/rest/V1/products/a%2Fb", sign_url="https://shop.example/rest/V1/products/a%2fb"),
    Case("E12", path="/rest/V1/products/", sign_url="https://shop.example/rest/V1/products"),
    Case("E13", sign_url="https://shop.example/rest/V1/products/"),
    Case("E14", sign_url="https://shop.example/V1/products"),
    Case("E15", path="/V1/products", sign_url="https://shop.example/rest/V1/products"),
    Case("E15", headers=[("X-Forwarded-Prefix", "/gw")], sign_url="https://shop.example/gw/rest/V1/products"),
    Case("E16", path="/rest//V1/./products", sign_url="https://shop.example/rest/V1/products"),
    Case("E16", path="/rest//V1/products", sign_url="https://shop.example/rest/V1/products"),
    Case("E17", sign_url="https://shop.example/"),
    Case("E18", path="/", sign_url="https://shop.example"),
    Case("E19", base_url="http://shop.example:8080", sign_url="http://shop.example/rest/V1/products:8080"),
    # Query
    Case("E20", pairs=no_query),
    Case("E20", hash="sha256", query="page=1", pairs=no_query),
    Case("E21", sign_url="https://shop.example/rest/V1/products?page=2&a%5Bb%5D=x%20y"),
    Case("E22", sign_url="https://shop.example/rest/V1/products?page=2&a%5Bb%5D=x%20y", pairs=no_query),
    Case("E23", pairs=pairs(lambda c: c.all_pairs() + c.q())),
    Case("E24", pairs=pairs(lambda c: c.oauth() + [tuple(p.split("=")) for p in c.query.split("&")])),
    Case("E24", pairs=pairs(lambda c: c.oauth() + [("page", "2"), ("a%5Bb%5D", "x y")])),
    Case("E25", query="q=a+b", pairs=pairs(lambda c: c.oauth() + [("q", "a+b")])),
    Case("E26", query="q=a%2520b%20c", pairs=pairs(lambda c: c.oauth() + [("q", "a b c")])),
    Case("E27", query=REPEATED, pairs=pairs(lambda c: c.oauth() + indexed(c.q(), "[%d]"))),
    Case("E27", query=REPEATED, pairs=pairs(lambda c: c.oauth() + indexed(c.q(), "[]"))),
    Case("E28", query="a%5B%5D=1&a%5B%5D=2", pairs=pairs(lambda c: c.oauth() + [("a", "1"), ("a", "2")])),
    Case("E28", query="a%5B0%5D=1&a%5B1%5D=2", pairs=pairs(lambda c: c.oauth() + [("a[]", "1"), ("a[]", "2")])),
    Case("E29", query=REPEATED, pairs=pairs(lambda c: c.oauth() + [("b", "1"), ("a", "1"), ("c", "2")])),
    Case("E30", query=REPEATED, pairs=pairs(lambda c: c.oauth() + [("b", "1"), ("a", "3"), ("c", "2")])),
    Case("E31", query=REPEATED, pairs=pairs(lambda c: c.oauth() + [("b", "1"), ("a", "3,1"), ("c", "2")])),
    Case("E31", query=REPEATED, pairs=pairs(lambda c: c.oauth() + [("b", "1"), ("a", "['3', '1']"), ("c", "2")])),
    Case("E32", query="a=1&b=2&a=1&b=2", pairs=pairs(lambda c: c.oauth() + [("a", "1"), ("b", "2")])),
    Case("E33", query="a=&b=2&c=", pairs=pairs(lambda c: c.oauth() + [("b", "2")])),
    Case("E34", query="flag&b=2", write=lambda n, v: n if n == "flag" else f"{n}={v}"),
    Case("E34", query="flag&b=2", pairs=pairs(lambda c: c.oauth() + [("b", "2"), ("flag", "undefined")])),
    Case("E35", query="q=a=b&x=1", pairs=pairs(lambda c: c.oauth() + [("q", "a"), ("x", "1")])),
    Case("E36", query="a.b=1&c=2", pairs=pairs(lambda c: c.oauth() + [("a_b", "1"), ("c", "2")])),
    Case("E37", query="a=1&utm_source=x&b=2", pairs=pairs(lambda c: c.oauth() + [("a", "1"), ("b", "2")])),
    Case("E38", query="a=1&amp;b=2", pairs=pairs(lambda c: c.oauth() + [("a", "1"), ("b", "2")])),
    # Sorting
    Case("E39", query="z=1&b=2", sort=lambda p: p),
    Case("E39", query="z=1&b=2", pairs=pairs(lambda c: c.q() + c.oauth()), sort=lambda p: p),
    Case("E40", query="f%5B9%5D=a&f%5B10%5D=b", sort=natural),
    Case("E41", query="a-b=1&a%5Bc%5D=2&aAb=3", pairs=pairs(lambda c: sorted(c.all_pairs())), sort=lambda p: p),
    Case("E42", query="price=1&price-max=2", sort=lambda p: sorted(p, key="=".join)),
    Case("E43", query=REPEATED, sort=lambda p: sorted(p, key=lambda pair: pair[0])),
    Case("E44", query="Zeta=1&alpha=2&m=3", sort=lambda p: sorted(p, key=lambda pair: (pair[0].lower(), pair[1].lower()))),
    Case("E45", query="z=1&b=2", sort=lambda p: sorted(p, key=lambda pair: (not pair[0].startswith("oauth_"), pair))),
    Case("E45", query="z=1&b=2", sort=lambda p: sorted(p, key=lambda pair: (pair[0].startswith("oauth_"), pair))),
    # Body
    form_case("E46", pairs=no_body),
    json_case("E47", pairs=pairs(lambda c: c.oauth() + [("sku", "a"), ("qty", "2")])),
    json_case("E47", body='{"o":{"sku":"a","l":[1,2]}}', pairs=pairs(lambda c: c.oauth() + [("o[sku]", "a"), ("o[l][0]", "1"), ("o[l][1]", "2")])),
    json_case("E47", body='{"o":{"sku":"a"},"l":[1,2]}', pairs=pairs(lambda c: c.oauth() + [("o", "[object Object]"), ("l", "1,2")])),
    json_case("E48", pairs=pairs(lambda c: c.oauth() + [(c.body, "")])),
    form_case("E49", content_type="text/plain", pairs=pairs(lambda c: c.oauth() + c.fields(c.body))),
    form_case("E50", body='{"a":"b"}', pairs=no_body),
    form_case("E51", content_type="multipart/form-data; boundary=xx",
              body='--xx\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--xx\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\nfile\r\n--xx--\r\n',
              pairs=pairs(lambda c: c.oauth() + [("a", "1")])),
    form_case("E52", sign_url="https://shop.example/rest/V1/products?name=Jane+Doe&city=K%C3%B6ln&n=1", pairs=no_body),
    form_case("E53", pairs=pairs(lambda c: c.oauth() + [("name", "Jane+Doe"), ("city", "K%C3%B6ln"), ("n", "1")])),
    form_case("E54", pairs=pairs(lambda c: c.oauth() + [("name", "Jane+Doe"), ("city", "Köln"), ("n", "1")])),
    # Encoding
    Case("E55", outer=lambda text: text),
    Case("E55", outer=lambda text: text, outer_url=lambda text: text),
    Case("E56", outer_url=lambda text: text),
    Case("E57", name=lambda t: t, value=lambda t: t),
    Case("E58", query="a%5Bb%5D=x%20y%2Fz&c=%21", name=lambda t: t),
    Case("E59", query=MARKS, value=lambda t: quote(t, safe="-._~!*'()")),
    Case("E60", query=MARKS, value=lambda t: enc(t).replace("~", "%7E")),
    Case("E61", query=MARKS, name=lower_hex, value=lower_hex),
    Case("E61", query=MARKS, name=lower_hex, value=lower_hex, outer=lower_hex, outer_url=lower_hex),
    Case("E62", query="q=a%20b&t=~x", value=lambda t: enc(t).replace("%20", "+")),
    Case("E62", query="q=a%20b&t=~x", value=lambda t: enc(t).replace("%20", "+").replace("~", "%7E")),
    Case("E63", query=MARKS, value=lambda t: quote(t, safe="-._~/")),
    Case("E64", query="q=a%20b%2A&t=~x", name=java, value=java),
    Case("E65", query="q=a%20(b)%2A%2F&t=~x", name=dotnet, value=dotnet),
    Case("E66", query="q=K%C3%B6ln", value=lambda t: quote(t.encode("latin-1"), safe="-._~")),
    Case("E67", query="q=K%C3%B6ln", value=lambda t: enc(t.encode().decode("latin-1"))),
    Case("E68", query="q=K%C3%B6ln", value=lambda t: enc(unicodedata.normalize("NFD", t))),
    Case("E68", query="q=Ko%CC%88ln", value=lambda t: enc(unicodedata.normalize("NFC", t))),
    Case("E69", nonce="a+b/c=", pairs=pairs(lambda c: [(n, enc(v)) for n, v in c.oauth()] + c.q())),
    # Method
    Case("E70", sign_method="get"),
    Case("E71", sign_method="POST"),
    Case("E72", sent_method="POST", sign_method="PUT", headers=[("X-HTTP-Method-Override", "PUT")]),
    # Key
    Case("E73", key=CS + "&"),
    Case("E74", key=CS),
    Case("E74", key=CS, token=None),
    Case("E75", key=CS + TS),
    Case("E76", key=f"{TS}&{CS}"),
    Case("E77", consumer=(CK, SPECIAL_CS), token=(TK, SPECIAL_TS), key=f"{SPECIAL_CS}&{SPECIAL_TS}"),
    Case("E77", consumer=(CK, SPECIAL_CS), key=f"{SPECIAL_CS}&{TS}"),
    Case("E78", consumer=(CK, SPECIAL_CS), key=f"{enc(enc(SPECIAL_CS))}&{TS}"),
    Case("E78", key=enc(f"{CS}&{TS}")),
    Case("E79", key=f"{CS}&{TS}%0A"),
    Case("E79", key=f"{CS}%20&{TS}"),
    Case("E79", key=f"{CS}&{TS}\n"),
    Case("E79", consumer=(CK, CS + " "), key=f"{CS}&{TS}"),
    Case("E80", key=f"{CK}&{TS}"),
    Case("E80", key=f"{CS}&{TK}"),
    Case("E81", key=f"oldconsumer&{TS}", secrets={"previous_consumer_secrets": ["x", "oldconsumer"]}),
    Case("E82", key=f"{CS}&oldtoken", secrets={"previous_token_secrets": ["oldtoken"]}),
    Case("E83", key=f"{CS}&{RTS}", secrets={"request_token": RT, "request_token_secret": RTS}),
    Case("E83", token=(RT, RTS), key=f"{CS}&{TS}", secrets={"request_token": RT, "request_token_secret": RTS, "token_secret": TS}),
    Case("E84", oauth_more=[("oauth_verifier", "v3rifier")], key=f"{CS}&v3rifier"),
    Case("E84", oauth_more=[("oauth_verifier", "v3rifier")], key=f"{CS}&{TS}v3rifier"),
    Case("E85", key=f"{CS}&undefined"),
    Case("E85", key=f"{CS}&None"),
    Case("E85", key=f"null&{TS}"),
    Case("E86", key=f"&{TS}"),
    Case("E86", key=b""),
    Case("E87", key=f"{CS}&%22{TS}%22"),
    Case("E87", key=f"%27{CS}%27&{TS}"),
    Case("E88", consumer=(CK, "6b6439346866"), key=b"kd94hf&" + TS.encode()),
    Case("E88", token=(TK, "a2Q5NGhmOTM="), key=f"{CS}&kd94hf93"),
    Case("E89", key=f"{CS}&{TS[:-1]}"),
    Case("E89", key=f"{CS[1:]}&{TS}"),
    Case("E89", consumer=(CK, "abc$def"), key=f"abc&{TS}"),
    Case("E90", token=None, key=f"{CS}&{TS}"),
    # Algorithm and form
    Case("E91", hash="sha1", declared="HMAC-SHA256"),
    Case("E91", hash="sha256", declared="HMAC-SHA1"),
    Case("E91", sign=lambda key, base: hmac.new(key, base, "md5").digest()),
    Case("E91", sign=lambda key, base: hmac.new(key, base, "sha384").digest()),
    Case("E92", tweak_oauth=lambda sent: [(n, "HMAC-SHA1" if n == "oauth_signature_method" else v) for n, v in sent], declared="HMAC-SHA256", hash="sha1"),
    Case("E93", sign=lambda key, base: hashlib.sha1(base + key).digest()),
    Case("E93", sign=lambda key, base: hashlib.sha1(key + base).digest()),
    Case("E94", sign=lambda key, base: hmac.new(base, key, "sha1").digest()),
    Case("E95", form=lambda digest: digest.hex()),
    Case("E96", until=lambda value: "-" in value, hash="sha512", form=lambda digest: base64.urlsafe_b64encode(digest).decode()),
    Case("E97", form=lambda digest: base64.b64encode(digest).decode().rstrip("=")),
    Case("E98", form=lambda digest: enc(base64.b64encode(digest).decode())),
    Case("E99", placement="query", until=lambda value: "+" in value, wire=lambda value: value.replace("=", "%3D")),
    Case("E100", form=lambda digest: base64.b64encode(digest.hex().encode()).decode()),
    Case("E101", form=lambda digest: base64.encodebytes(digest).decode()),
    Case("E102", sign=lambda key, base: key, form=lambda key: key.decode()),
    # Protocol parameters
    Case("E103", pairs=pairs(lambda c: c.all_pairs() + [("oauth_signature", "")])),
    Case("E104", realm="shop", pairs=pairs(lambda c: c.all_pairs() + [("realm", "shop")])),
    Case("E104", realm="", pairs=pairs(lambda c: c.all_pairs() + [("realm", "")])),
    Case("E105", pairs=pairs(lambda c: [p for p in c.all_pairs() if p[0] != "oauth_version"])),
    Case("E106", oauth_without=["oauth_version"], pairs=pairs(lambda c: c.all_pairs() + [("oauth_version", "1.0")])),
    Case("E107", pairs=pairs(lambda c: [p for p in c.all_pairs() if p[0] != "oauth_token"])),
    Case("E108", token=None, pairs=pairs(lambda c: c.all_pairs() + [("oauth_token", "")])),
    Case("E108", token=None, oauth_more=[("oauth_token", "")], pairs=pairs(lambda c: [p for p in c.all_pairs() if p[0] != "oauth_token"])),
    Case("E109", timestamp=str(NOW * 1000)),
    Case("E110", pairs=pairs(lambda c: [(n, str(NOW - 1) if n == "oauth_timestamp" else v) for n, v in c.all_pairs()])),
    Case("E111", oauth_more=[("oauth_callback", "https://c.example/a%20b")], pairs=pairs(lambda c: [(n, unquote(v) if n == "oauth_callback" else v) for n, v in c.all_pairs()])),
    Case("E112", oauth_more=[("oauth_callback", "https://c.example/cb")], pairs=pairs(lambda c: [(n, enc(v) if n == "oauth_callback" else v) for n, v in c.all_pairs()])),
    Case("E113", oauth_more=[("oauth_callback", "https://c.example/cb")], pairs=pairs(lambda c: [p for p in c.all_pairs() if p[0] != "oauth_callback"])),
    Case("E114", oauth_more=[("oauth_body_hash", "2jmj7l5rSw0yVb/vlWAYkK/YBwk=")], pairs=pairs(lambda c: [p for p in c.all_pairs() if p[0] != "oauth_body_hash"])),
    Case("E115", oauth_more=[("oauth_body_hash", "2jmj7l5rSw0yVb/vlWAYkK/YBwk=")], value=lambda t: t if t.startswith("2jmj") else enc(t)),
    json_case("E116", oauth_more=[("oauth_body_hash", "2jmj7l5rSw0yVb/vlWAYkK/YBwk=")]),
    Case("E117", header_extra=[("shop_id", "7")], pairs=pairs(lambda c: c.oauth() + c.q())),
    Case("E118", placement="query", nonce="a+b"),
    # What is no mistake of the signature
    Case("N1", timestamp=str(NOW - 1000)),
    Case("N1", timestamp=str(NOW + 700)),
    Case("N2", secrets={"consumer_key": "another"}),
    Case("N3", consumer=(CK + " ", CS)),
    Case("N4", secrets={"token": "another"}),
    # Two mistakes, and a fact of the value beside one or two
    Case("E1 E20", sign_url="http://shop.example/rest/V1/products", pairs=no_query),
    Case("E20 E73", pairs=no_query, key=CS + "&"),
    form_case("E46 E73", pairs=no_body, key=CS + "&"),
    Case("E1 E73", sign_url="http://shop.example/rest/V1/products", key=CS + "&"),
    Case("E12 E20", path="/rest/V1/products/", sign_url="https://shop.example/rest/V1/products", pairs=no_query),
    Case("E3 E40", query="f%5B9%5D=a&f%5B10%5D=b", sort=natural, sign_url="https://shop.example:443/rest/V1/products"),
    Case("E20 E79", pairs=no_query, key=f"{CS}&{TS}%0A"),
    Case("E20 E91", hash="sha1", declared="HMAC-SHA256", pairs=no_query),
    Case("E20 E95", pairs=no_query, form=lambda digest: digest.hex()),
    Case("E1 E20 E101", sign_url="http://shop.example/rest/V1/products", pairs=no_query, form=lambda digest: base64.encodebytes(digest).decode()),
    # RSA
    rsa_case(""), rsa_case("", name="sha256", declared="RSA-SHA256"),
    rsa_case("E20", pairs=no_query),
    rsa_case("E1 E20", sign_url="http://shop.example/rest/V1/products", pairs=no_query),
    rsa_case("E91", name="sha256"),
    rsa_case("E91", declared="HMAC-SHA1"),
    rsa_case("E101 E20", pairs=no_query, form=lambda digest: base64.encodebytes(digest).decode()),
    rsa_case("N8", key=OTHER_RSA),
    # PLAINTEXT
    Case("", declared="PLAINTEXT", sign=lambda key, base: key, form=lambda key: key.decode()),
    Case("E73", declared="PLAINTEXT", key=CS + "&", sign=lambda key, base: key, form=lambda key: key.decode()),
    Case("E91", declared="PLAINTEXT"),
]


def main():
    for case in CASES:
        sys.stdout.write(json.dumps(case.line(), ensure_ascii=True) + "\n")


main()
