#!/usr/bin/env python3
"""Finds the copies that moved groups left on the gateways they were on before, and deletes them when told so.

A group that is on more than one gateway has one copy to keep: the one on the gateway that owns the group now, if that is the newest. The
others are stale. Without --delete they are only listed, each with the command that would delete it. Nothing is deleted

- while a gateway cannot be read: a copy that nobody sees might be the good one;
- when the owner's copy is not the newest: wait for the next push;
- when the stale copy has metrics that the owner's lacks (pushed with POST): look at it yourself;
- when the copy was pushed to again in the meantime.

Exit code 0: done; 1: something could not be read or deleted; 2: wrong flags.
"""
import argparse
import base64
import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

TIMEOUT_SECONDS = 30


def parse_arguments():
    parser = argparse.ArgumentParser(
        description="Finds, and with --delete deletes, the stale copies that moved groups left on their old gateways.")
    parser.add_argument("--url", default="http://127.0.0.1:9293", help="admin listener of an instance (default: %(default)s)")
    parser.add_argument("--admin-user", metavar="NAME:FILE", help="user name for the admin listener, and the file with its password")
    parser.add_argument("--gateways", default="", help="further gateways to look at, such as one that was scaled in: a:9091,b:9091")
    parser.add_argument("--gateway-user", metavar="NAME:FILE", help="the same for the gateways")
    parser.add_argument("--margin", type=float, default=5, metavar="SECONDS",
                        help="a copy is older only by more than this: gateways' clocks differ (default: %(default)s)")
    parser.add_argument("--delete", action="store_true", help="delete what was found")
    return parser.parse_args()


class Client:
    """HTTP without the machine's proxy: both the instance and the gateways are near."""

    def __init__(self, user):
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._authorization = None
        if user:
            name, _, file = user.partition(":")
            with open(file, encoding="utf-8") as text:
                credentials = f"{name}:{text.read().rstrip()}"
            self._authorization = "Basic " + base64.b64encode(credentials.encode()).decode()

    def send(self, method, url):
        request = urllib.request.Request(url, method=method)
        if self._authorization:
            request.add_header("Authorization", self._authorization)
        with self._opener.open(request, timeout=TIMEOUT_SECONDS) as reply:
            return reply.read()

    def get(self, url):
        return json.loads(self.send("GET", url))


class Copy:
    def __init__(self, gateway, group):
        self.gateway = gateway
        self.labels = group["labels"]
        self.pushed = float(group["push_time_seconds"]["metrics"][0]["value"])
        self.families = {
            name for name, value in group.items()
            if isinstance(value, dict) and "metrics" in value and name not in ("push_time_seconds", "push_failure_time_seconds")}

    @property
    def key(self):
        return tuple(sorted(self.labels.items()))


def push_path(labels):
    """Everything in base64: any value at all can be spelled so, an empty one and one with a slash too."""
    segments = []
    for name in sorted(labels, key=lambda label: (label != "job", label)):
        value = base64.urlsafe_b64encode(labels[name].encode()).decode() or "="
        segments.append(f"{name}@base64/{value}")
    return "/metrics/" + "/".join(segments)


def describe(labels):
    return "{" + ", ".join(f'{name}={json.dumps(labels[name])}' for name in sorted(labels)) + "}"


def when(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds)) if seconds else "never with success"


class Fleet:
    def __init__(self, arguments):
        self._admin = Client(arguments.admin_user)
        self._gateways = Client(arguments.gateway_user)
        self._url = arguments.url.rstrip("/")
        status = self._admin.get(self._url + "/api/v1/status")
        self.key_mode = status["key"]
        known = [member["address"] for member in status["members"]]
        self.addresses = list(dict.fromkeys(known + [a.strip() for a in arguments.gateways.split(",") if a.strip()]))
        # Scheme and path prefix are those of the redirects.
        owner, location = self.owner("/metrics/job/any")
        self._scheme, _, rest = location.partition("://")
        self._prefix = rest[len(owner):-len("/metrics/job/any")]

    def owner(self, path):
        answer = self._admin.get(f"{self._url}/api/v1/lookup?path={urllib.parse.quote(path, safe='')}")
        return answer["owner"], answer["location"]

    def address_of(self, gateway, path):
        return f"{self._scheme}://{gateway}{self._prefix}{path}"

    def copies_on(self, gateway):
        answer = self._gateways.get(self.address_of(gateway, "/api/v1/metrics"))
        return [Copy(gateway, group) for group in answer["data"]]

    def delete(self, copy):
        self._gateways.send("DELETE", self.address_of(copy.gateway, push_path(copy.labels)))


def judge(copies, owner, margin):
    """The stale ones of one group's copies, and why others are left."""
    newest = max(copies, key=lambda copy: copy.pushed)
    kept = next((copy for copy in copies if copy.gateway == owner), None)
    if kept is None:
        return [], f"not on its owner {owner} yet, wait for the next push"
    if newest.pushed > kept.pushed:
        return [], f"the newest copy is on {newest.gateway} and not on its owner {owner}, wait for the next push"
    stale, left = [], []
    for copy in copies:
        if copy is kept:
            continue
        if copy.pushed + margin >= kept.pushed:
            left.append(f"the copy on {copy.gateway} is not older by more than {margin:g} s, ask again after the next push")
        elif not copy.families <= kept.families:
            only = ", ".join(sorted(copy.families - kept.families))
            left.append(f"the copy on {copy.gateway} has metrics that the owner's lacks ({only})")
        else:
            stale.append(copy)
    return stale, "; ".join(left)


def main():
    arguments = parse_arguments()
    try:
        fleet = Fleet(arguments)
    except (OSError, ValueError, KeyError) as error:
        print(f"stale-copies: {arguments.url}: {error}", file=sys.stderr)
        return 1
    if fleet.key_mode != "group":
        print("stale-copies: sharding.key is path: a group's owner depends on how its client spells it, so the good copy cannot be told; "
              "use the query in the runbook", file=sys.stderr)
        return 1

    groups, unread = {}, 0
    for gateway in fleet.addresses:
        try:
            for copy in fleet.copies_on(gateway):
                groups.setdefault(copy.key, []).append(copy)
        except (OSError, ValueError, KeyError) as error:
            print(f"stale-copies: {gateway}: {error}", file=sys.stderr)
            unread += 1

    stale = []
    for copies in groups.values():
        if len(copies) < 2:
            continue
        path = push_path(copies[0].labels)
        found, left = judge(copies, fleet.owner(path)[0], arguments.margin)
        if left:
            print(f"left     {describe(copies[0].labels)}: {left}")
        for copy in found:
            print(f"stale    {describe(copy.labels)} on {copy.gateway}, pushed {when(copy.pushed)}: "
                  f"curl -X DELETE {fleet.address_of(copy.gateway, path)}")
        stale += found

    deleted, failed = 0, 0
    if arguments.delete and not unread:
        deleted, failed = delete(fleet, stale)
    print(f"{len(groups)} groups on {len(fleet.addresses)} gateways, {len(stale)} stale copies, {deleted} deleted")
    if unread:
        print(f"stale-copies: {unread} gateways could not be read" + (", nothing is deleted" if arguments.delete else ""), file=sys.stderr)
    return 1 if unread or failed else 0


def delete(fleet, stale):
    deleted, failed = 0, 0
    for gateway in sorted({copy.gateway for copy in stale}):
        try:
            now = {copy.key: copy.pushed for copy in fleet.copies_on(gateway)}
            for copy in (copy for copy in stale if copy.gateway == gateway):
                if now.get(copy.key) != copy.pushed:
                    print(f"left     {describe(copy.labels)}: the copy on {gateway} has changed in the meantime")
                    continue
                fleet.delete(copy)
                deleted += 1
        except (OSError, ValueError, KeyError) as error:
            print(f"stale-copies: {gateway}: {error}", file=sys.stderr)
            failed += 1
    return deleted, failed


if __name__ == "__main__":
    sys.exit(main())
