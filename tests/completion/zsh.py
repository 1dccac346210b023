#!/usr/bin/env python3
"""What zsh makes of a command line when the tab key is pressed at its end, in a terminal of its own.

    tests/completion/zsh.py FOLDER LINE      FOLDER has _dynamic-sharding; prints the arguments of the completed line
"""
import os
import pty
import re
import select
import sys
import time

LIMIT = 30.0
SET_UP = r"""
unsetopt zle_bracketed_paste prompt_sp prompt_cr; PROMPT= RPROMPT=
fpath=(%s $fpath); autoload -Uz compinit; compinit -u -D
function dynamic-sharding { print -r -- "RUN<$*>END" }
print RE''ADY
"""


def read_until(terminal, pattern):
    text, end = "", time.monotonic() + LIMIT
    while time.monotonic() < end:
        if select.select([terminal], [], [], 0.2)[0]:
            text += os.read(terminal, 4096).decode(errors="replace")
        found = re.search(pattern, text, re.S)
        if found:
            return found
    sys.exit(f"not within {LIMIT:.0f} s: {pattern}: {text!r}")


def main():
    folder, line = os.path.abspath(sys.argv[1]), sys.argv[2]
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "dumb"
        os.execvp("zsh", ["zsh", "-f", "-i"])
    os.write(terminal, (SET_UP % folder).encode())
    read_until(terminal, r"\nREADY")
    # The tab key, then enter: zsh takes the second only when the completion is done. The function shows the words it was run with.
    os.write(terminal, f"{line}\t\n".encode())
    print(read_until(terminal, r"RUN<(.*?)>END").group(1))
    os.write(terminal, b"exit\n")
    os.close(terminal)
    os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
