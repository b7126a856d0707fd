"""requests-oauthlib does the handshake, then each step. Reads one JSON document, prints one JSON line a step."""

import json
import sys

from requests_oauthlib import OAuth1Session


def report(step, response):
    print(json.dumps({"step": step, "status": response.status_code, "body": response.text}), flush=True)


def main():
    task = json.load(sys.stdin)
    session = OAuth1Session(
        task["consumer_key"],
        client_secret=task["consumer_secret"],
        signature_method=task["signature_method"],
    )
    session.fetch_request_token(task["request_token_url"])
    print(json.dumps({"step": "request token", "status": 200}), flush=True)
    session.fetch_access_token(task["access_token_url"], verifier=task["verifier"])
    print(json.dumps({"step": "access token", "status": 200}), flush=True)

    for step in task["steps"]:
        options = {}
        if step["query"]:
            options["params"] = step["query"]
        if step["form"]:
            options["data"] = step["form"]
        if step["json"]:
            options["data"] = step["json"].encode()
            options["headers"] = {"Content-Type": "application/json"}
        report(step["name"], session.request(step["method"], task["base_url"] + step["path"], **options))


main()
