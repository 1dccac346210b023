#!/usr/bin/env python3
"""Every relative link of the Markdown files below a folder leads to a file below the root, and to one of its headings.

    packaging/check-links.py ROOT [FOLDER]

ROOT is what an absolute link begins at. Prints the links that do not, and their number; exit code 1 if there is one.
"""
import os
import re
import sys

LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(path):
    headings = [line.lstrip("#").strip().lower() for line in open(path, encoding="utf-8") if line.startswith("#")]
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}


def is_dead(root, page, link):
    target, _, anchor = link.partition("#")
    if target.startswith("/"):
        path = root + target
    else:
        path = os.path.normpath(os.path.join(os.path.dirname(page), target)) if target else page
    if not os.path.exists(path) or not os.path.realpath(path).startswith(os.path.realpath(root)):
        return True
    return bool(anchor) and anchor not in anchors(path)


def main():
    root = sys.argv[1].rstrip("/")
    pages = links = dead = 0
    for folder, _, names in os.walk(sys.argv[2] if len(sys.argv) > 2 else root):
        for page in (os.path.join(folder, name) for name in sorted(names) if name.endswith(".md")):
            pages += 1
            for link in LINK.findall(open(page, encoding="utf-8").read()):
                if "://" in link:
                    continue
                links += 1
                if is_dead(root, page, link):
                    dead += 1
                    print(f"{os.path.relpath(page, root)}: dead link {link}")
    print(f"{pages} pages, {links} links, {dead} dead")
    # A folder without pages has lost them.
    return 1 if dead or not links else 0


if __name__ == "__main__":
    sys.exit(main())
