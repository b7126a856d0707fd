"""What every client is asked to do after the handshake, and how the outcome is judged.

A step is data: each client sends it in its own library's idiom. The upstream echoes the request it received, the client
passes the echo on, and the recorder beside the gateway holds the bytes the client really sent.
"""

import base64
import json
from urllib.parse import parse_qsl

PRODUCT = json.dumps({"product": {"sku": "Ærø 24", "name": "T-shirt “L” ☕", "price": 19.5}}, ensure_ascii=False)


def step(name, method, path, **more):
    given = {"name": name, "method": method, "path": path, "query": None, "form": None, "json": None, "status": 200}
    return given | more


STEPS = [
    step(
        "GET brackets",
        "GET",
        "/rest/V1/products",
        query=[
            ("searchCriteria[filter_groups][0][filters][0][field]", "name"),
            ("searchCriteria[filter_groups][0][filters][0][value]", "%shirt%"),
            ("searchCriteria[filter_groups][0][filters][0][condition_type]", "like"),
            ("searchCriteria[pageSize]", "10"),
        ],
    ),
    step(
        "GET unicode",
        "GET",
        "/rest/default/V1/products",
        query=[("name", "Ærø 日本 ☕"), ("note", "a b+c&d=e/é?f"), ("marks", "~!*'();:@,$-._"), ("empty", "")],
    ),
    step("GET duplicates", "GET", "/rest/V1/products", query=[("a", "2"), ("a", "1"), ("b", "x y")]),
    step("GET path", "GET", "/rest/V1/products/t%C3%A9e%20shirt"),
    step(
        "POST form",
        "POST",
        "/rest/V1/products",
        form=[("email", "zoë+tag@example.com"), ("note", "two words & more = 50%"), ("empty", "")],
    ),
    step(
        "POST form, brackets",
        "POST",
        "/rest/V1/products",
        form=[("customer[email]", "zoe@example.com"), ("customer[groups][0]", "a b"), ("plain", "1")],
    ),
    step("POST JSON", "POST", "/rest/V1/products", json=PRODUCT),
    step("PUT JSON", "PUT", "/rest/V1/products/24-MB01", json=PRODUCT),
    step("DELETE", "DELETE", "/rest/V1/products/24-MB01"),
    step("no grant", "GET", "/rest/V1/orders/1", status=401),
]

HANDSHAKE = ["verifier", "request token", "access token"]
# Columns of the table: the handshake, the steps, and the replay of every request that was served.
COLUMNS = [*HANDSHAKE, *(one["name"] for one in STEPS), "replay"]


def judge(one, line, sent, consumer):
    """The faults of one step: what the client reported against what was meant, and against the bytes it sent."""
    if line is None:
        return ["the client did not get this far"]
    if line["status"] != one["status"]:
        return [f"status {line['status']}, not {one['status']}: {line.get('body', '')[:300]}"]
    if one["status"] != 200:
        return []
    try:
        echo = json.loads(line["body"])
    except ValueError:
        return [f"the answer is not upstream's: {line['body'][:300]!r}"]
    return list(echo_faults(one, echo, sent, consumer))


def echo_faults(one, echo, sent, consumer):
    target, _, query = echo["target"].partition("?")
    body = base64.b64decode(echo["body"])
    headers = {}
    for name, value in echo["headers"]:
        headers.setdefault(name.lower(), []).append(value)

    if echo["method"] != one["method"]:
        yield f"upstream saw {echo['method']}"
    if target != one["path"]:
        yield f"upstream saw path {target}"
    if sent is None:
        yield "the recorder holds no such request"
    elif (sent.target, sent.body) != (echo["target"], body):
        yield f"upstream saw other bytes than were sent: {echo['target']} for {sent.target}, {body!r} for {sent.body!r}"
    if pairs(query) != sorted(one["query"] or []):
        yield f"upstream saw query {query}"
    if one["form"] and pairs(body.decode()) != sorted(one["form"]):
        yield f"upstream saw form {body!r}"
    if one["json"] and body != one["json"].encode():
        yield f"upstream saw body {body!r}"
    if not one["form"] and not one["json"] and body:
        yield f"upstream saw a body: {body!r}"

    if "authorization" in headers:
        yield "Authorization reached upstream"
    expected = {
        "x-consumer-key": consumer["key"],
        "x-integration-id": str(consumer["integration"]),
        "x-integration-name": consumer["name"],
        "x-user-type": "integration",
    }
    for name, value in expected.items():
        if headers.get(name) != [value]:
            yield f"upstream saw {name}: {headers.get(name)}, not {value}"
    for name in ("x-consumer-id", "x-request-id"):
        if len(headers.get(name, [])) != 1:
            yield f"upstream saw {name}: {headers.get(name)}"


def pairs(text):
    return sorted(parse_qsl(text, keep_blank_values=True))
