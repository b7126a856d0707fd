"""requests-oauthlib and oauthlib, each time misused as the case says. usage: client.py CASE < task.json"""

import base64
import hashlib
import hmac
import json
import sys
from urllib.parse import quote

import requests
from oauthlib.oauth1 import Client
from oauthlib.oauth1.rfc5849 import signature as oauthlib_signature
from requests_oauthlib import OAuth1

task = json.load(sys.stdin)
KEY, SECRET = task["consumer_key"], task["consumer_secret"]
TOKEN, TOKEN_SECRET = task["token"], task["token_secret"]
URL = task["url"] + "/rest/V1/products"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def auth(**change):
    given = {
        "client_key": KEY,
        "client_secret": SECRET,
        "resource_owner_key": TOKEN,
        "resource_owner_secret": TOKEN_SECRET,
    }
    return OAuth1(**(given | change))


def prepared(method="GET", url=URL, using=None, **more):
    return requests.Request(method, url, auth=using or auth(), **more).prepare()


def send(request):
    requests.Session().send(request, timeout=10)


def signed_for(url, method="GET"):
    """The header that the library makes for one URL, to be sent with another."""
    client = Client(KEY, SECRET, TOKEN, TOKEN_SECRET)
    _, headers, _ = client.sign(url, http_method=method)
    return headers


def with_method(name, function):
    """A signature method of the application's own, as the library lets one register."""
    Client.register_signature_method(name, function)
    send(prepared(using=auth(signature_method=name), params={"page": "2"}))


def key():
    return f"{quote(SECRET, safe='')}&{quote(TOKEN_SECRET, safe='')}".encode()


def plain_url():
    send(prepared(params={"page": "2"}))


def after_signing(change, **more):
    request = prepared(**more)
    change(request)
    send(request)


def append(text):
    def change(request):
        request.url += text

    return change


def retype(value):
    def change(request):
        request.headers["Content-Type"] = value

    return change


def be_post(request):
    request.method = "POST"


def change_header(old, new):
    def change(request):
        header = request.headers["Authorization"]
        header = header.decode() if isinstance(header, bytes) else header
        assert old in header, header
        request.headers["Authorization"] = header.replace(old, new, 1)

    return change


def form_body(request):
    request.headers.update(FORM)


CASES = {
    "right": plain_url,
    "http URL": plain_url,
    "https URL": lambda: requests.get(URL, headers=signed_for(URL.replace("http:", "https:"))),
    "inner address": plain_url,
    "behind a proxy": lambda: requests.get(
        URL, headers=signed_for("https://shop.example/rest/V1/products") | {"X-Forwarded-Host": "shop.example"}
    ),
    "www": lambda: requests.get(
        URL, headers=signed_for("http://www.shop.example/rest/V1/products") | {"Host": "shop.example"}
    ),
    "prefix": lambda: requests.get(URL, headers=signed_for(task["url"] + "/V1/products")),
    "slash": lambda: after_signing(append("/")),
    "query": lambda: after_signing(append("?page=2&size=5")),
    "one parameter": lambda: after_signing(append("&utm_source=mail"), params={"page": "2", "size": "5"}),
    "query twice": lambda: after_signing(append("&page=2&size=5"), params={"page": "2", "size": "5"}),
    "form": lambda: after_signing(form_body, method="POST", data=b"name=Jane&n=1"),
    "form type": lambda: after_signing(retype("text/plain"), method="POST", data={"name": "Jane", "n": "1"}),
    "method": lambda: after_signing(be_post),
    "no token secret": lambda: send(prepared(using=auth(resource_owner_secret=None))),
    "exchanged secrets": lambda: send(prepared(using=auth(client_secret=TOKEN_SECRET, resource_owner_secret=SECRET))),
    "key for secret": lambda: send(prepared(using=auth(client_secret=KEY))),
    "line break": lambda: send(prepared(using=auth(resource_owner_secret=TOKEN_SECRET + "\n"))),
    "space": lambda: send(prepared(using=auth(client_secret=SECRET + " "))),
    "str(None)": lambda: send(prepared(using=auth(resource_owner_secret=str(None)))),
    "empty": lambda: send(prepared(using=auth(client_secret=""))),
    "quotes": lambda: send(prepared(using=auth(client_secret=f'"{SECRET}"'))),
    "cut": lambda: send(prepared(using=auth(client_secret=SECRET[:-1]))),
    "old consumer secret": lambda: send(prepared(using=auth(client_secret=task["old_consumer_secret"]))),
    "old token secret": lambda: send(prepared(using=auth(resource_owner_secret=task["old_token_secret"]))),
    "request token's secret": lambda: send(prepared(using=auth(resource_owner_secret=task["request_token_secret"]))),
    "verifier as secret": lambda: send(prepared(using=auth(resource_owner_secret="v3rifier", verifier="v3rifier"))),
    "no token": lambda: send(prepared(using=auth(resource_owner_key=None))),
    "token added": lambda: after_signing(
        change_header('oauth_signature="', f'oauth_token="{TOKEN}", oauth_signature="'),
        using=auth(resource_owner_key=None),
    ),
    "version removed": lambda: after_signing(change_header('oauth_version="1.0", ', "")),
    "callback encoded": lambda: after_signing(
        change_header("https%253A%252F%252Fclient.example%252Fcb", "https%3A%2F%2Fclient.example%2Fcb"),
        using=auth(callback_uri=quote("https://client.example/cb", safe="")),
    ),
    "clock": lambda: send(prepared(using=auth(timestamp="1600000000"))),
    "milliseconds": lambda: send(prepared(using=auth(timestamp="1700000000000"))),
    "clock read twice": lambda: after_signing(
        change_header('oauth_timestamp="1700000000"', 'oauth_timestamp="1700000001"'), using=auth(timestamp="1700000000")
    ),
    "SHA1 for SHA256": lambda: with_method("HMAC-SHA256", oauthlib_signature.sign_hmac_sha1_with_client),
    "in clear": lambda: with_method("HMAC-SHA1", oauthlib_signature.sign_plaintext_with_client),
    "hexdigest": lambda: with_method(
        "HMAC-SHA1", lambda base, _client: hmac.new(key(), base.encode(), hashlib.sha1).hexdigest()
    ),
    "encodebytes": lambda: with_method(
        "HMAC-SHA1", lambda base, _client: base64.encodebytes(hmac.new(key(), base.encode(), "sha1").digest()).decode()
    ),
    "no padding": lambda: with_method(
        "HMAC-SHA1",
        lambda base, _client: base64.b64encode(hmac.new(key(), base.encode(), "sha1").digest()).decode().rstrip("="),
    ),
    "plain hash": lambda: with_method(
        "HMAC-SHA1", lambda base, _client: base64.b64encode(hashlib.sha1(base.encode() + key()).digest()).decode()
    ),
    "http URL, no query": lambda: after_signing(append("?page=2")),
    "no query, no token secret": lambda: after_signing(append("?page=2"), using=auth(resource_owner_secret=None)),
}

CASES[sys.argv[1]]()
