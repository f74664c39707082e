"""Runs cargo and says now and then how far it is. Standard library only."""

import os
import re
import subprocess
import time
from pathlib import Path

SECONDS_BETWEEN_LINES = 10
BAR = re.compile(r"^\s*Building \[[^\]]*\]\s+(\d+)/(\d+)")
ROUTINE = re.compile(r"^\s*(Compiling|Checking|Downloading|Downloaded|Updating|Locking|Adding|Finished|Installing|Installed|Fresh) ")
NETWORK = re.compile(r"failed to (download|fetch|get)|Couldn't resolve host|spurious network error|unable to update registry", re.IGNORECASE)


class CargoFailed(Exception):
    """cargo's own words, and a hint where there is one."""


def run_cargo(command: list[str], what: str, folder: Path, environment: dict[str, str]) -> None:
    """Runs `command`, printing lines such as `library: 143 of 353 crates, 212 s`."""
    # Without a terminal cargo draws no progress bar unless told to; we read it instead of showing it.
    bar = {"CARGO_TERM_PROGRESS_WHEN": "always", "CARGO_TERM_PROGRESS_WIDTH": "100", "CARGO_TERM_COLOR": "never"}
    started = time.monotonic()
    with subprocess.Popen(command, cwd=folder, env=environment | bar, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        words, compiled = follow(process, what, started)
    seconds = time.monotonic() - started
    if process.returncode != 0:
        raise CargoFailed(explain(command, process.returncode, words))
    print(f"{what}: built in {seconds:.0f} s" if compiled else f"{what}: already built", flush=True)


def follow(process: subprocess.Popen, what: str, started: float) -> tuple[list[str], bool]:
    """Reads cargo's messages to the end: what is not routine, and whether anything was compiled."""
    words, compiled, next_line = [], False, started + SECONDS_BETWEEN_LINES
    for line in messages(process):
        if bar := BAR.match(line):
            if time.monotonic() >= next_line:
                print(f"{what}: {bar[1]} of {bar[2]} crates, {time.monotonic() - started:.0f} s", flush=True)
                next_line = time.monotonic() + SECONDS_BETWEEN_LINES
        elif line.lstrip().startswith("Blocking waiting"):
            print(f"{what}: waiting for another cargo to finish", flush=True)
        elif ROUTINE.match(line):
            compiled = compiled or line.lstrip().startswith("Compiling")
        elif line.strip():
            words.append(line)
    return words, compiled


def messages(process: subprocess.Popen):
    """cargo's lines; the bar's lines end in a carriage return."""
    rest = ""
    while chunk := os.read(process.stderr.fileno(), 65536):
        *lines, rest = re.split(r"[\r\n]", rest + chunk.decode(errors="replace"))
        yield from lines
    yield rest


def explain(command: list[str], code: int, words: list[str]) -> str:
    text = "\n".join(words[-60:])
    hint = "\nThe package registry cannot be reached: check the network, then run this again." if NETWORK.search(text) else ""
    return f"`{' '.join(command)}` failed (exit code {code}):\n{text}{hint}"
