#!/usr/bin/env python3
"""The list of keys in dynamic-sharding.yml(5), made of the tables in docs: every key with its default and meaning.

    packaging/man/keys.py            writes it into the manual page
    packaging/man/keys.py --check    exit code 1 if the page has another
"""
import os
import re
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
PAGE = os.path.join(ROOT, "packaging/man/dynamic-sharding.yml.5")
TABLES = ["docs/configuration.md", "docs/gateways.md", "docs/cleanup.md"]
BEGIN, END = '.\\" keys\n', '.\\" end of keys\n'


def rows():
    """Key, default, unit, whether a reload applies it, and meaning."""
    for table in TABLES:
        names = None
        for line in open(os.path.join(ROOT, table), encoding="utf-8"):
            cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
            if not line.startswith("|"):
                names = None
            elif cells[:2] == ["key", "default"]:
                names = cells
            elif names and "reload" in names and cells[0].startswith("`"):
                row = dict(zip(names, cells))
                yield cells[0].strip("`"), row["default"], row.get("unit", ""), row["reload"], row["meaning"]


def plain(text):
    text = re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", text)
    text = text.replace("`", "").replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    # One sentence a line, and no line that roff takes for a request.
    return re.sub(r"([.:]) (?=[A-Z])", r"\1\n", text)


def listing():
    out = [".Bl -tag -width Ds\n"]
    for key, default, unit, reload, meaning in rows():
        out.append(f".It Ic {key}\n")
        # A meaning that only points to another page says nothing here.
        meaning = re.sub(r" ?See \[[^]]+\]\([^)]+\)\.", "", meaning)
        for line in plain(meaning).split("\n"):
            if line:
                out.append(("\\&" if line[0] in ".'" else "") + line + "\n")
        default = "see above" if default == "see meaning" else plain(default)
        said = f"Default: {default}" + (f" ({plain(unit)})" if unit and default not in ("none", "see above") else "")
        out.append(f"{said}.\n" + ("" if reload == "yes" else "A change needs a restart.\n"))
    out.append(".El\n")
    return "".join(out)


def main():
    page = open(PAGE, encoding="utf-8").read()
    start, end = page.index(BEGIN) + len(BEGIN), page.index(END)
    made = page[:start] + listing() + page[end:]
    if "--check" in sys.argv:
        if made != page:
            print("dynamic-sharding.yml.5 differs from docs: run packaging/man/keys.py")
        return int(made != page)
    open(PAGE, "w", encoding="utf-8").write(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
