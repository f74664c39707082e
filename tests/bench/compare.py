#!/usr/bin/env python3
"""Times the library beside its peers, case by case and in turn, and prints a table for docs/performance.md.

    python3 tests/bench/compare.py --python PEERS_PYTHON [--rounds 3] [--only TEXT] [--json FILE]

PEERS_PYTHON is a Python with `tests/bench/peers/requirements.txt`. Each round runs the benchmark and then the peer, each in its own process;
the answer is the median over the rounds of the ratio of medians, with the smallest and largest, and the largest memory that each process had.
Nothing else should run: `load` is the load average before each process, the mean over all.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent.parent
PEERS = REPO / "tests/bench/peers"

# The library is started as the notebook's kernel starts it, the peers as Python starts them.
sys.path.insert(0, str(REPO / "notebooks/kernel"))
sys.dont_write_bytecode = True
from launch import KEPT_MEMORY  # noqa: E402


@dataclass
class Comparison:
    """One row: what is timed, the goal (time here / time there), our case, and the peer's cases, of which the fastest counts."""

    what: str
    goal: float
    workload: str
    ours: str | None
    theirs: list[str | None]
    repeats: tuple[int, int]
    add: list[str] = field(default_factory=list)  # peers' cases whose times are added: what our case does besides


def dm(shape: str, ways: list[str], repeats: int) -> Comparison:
    return Comparison(f"DM step, {shape}", 0.5, "dm_step", shape, [shape + way for way in ways], (repeats, repeats))


def matching(shape: str, repeats: int) -> Comparison:
    return Comparison(f"DC, a class, {shape}", 0.6, "gradient_matching_step", shape, [shape], (repeats, repeats))


PHI = ["phi"]
COMPARISONS = [
    dm("small-28x28x1-w32", [""], 6),
    dm("small-28x28x1-w32-dsa", [""], 6),
    dm("paper-32x32x1-w128", [""], 3),
    dm("paper-32x32x3-w128", [""], 3),
    dm("paper-32x32x3-w128-dsa", [""], 3),
    matching("small-28x28x1-w32-ipc1", 6),
    matching("small-28x28x1-w32-ipc10", 6),
    matching("paper-32x32x1-w128-ipc10", 3),
    matching("paper-32x32x3-w128-ipc10", 3),
    Comparison("KIP step", 0.6, "kip_step", None, [None], (20, 20)),
    Comparison("DP-SGD, MLP", 0.5, "dpsgd_epoch", "mlp/ghost", ["mlp/ghost", "mlp/hooks"], (3, 3)),
    Comparison("DP-SGD, ConvNet 32, group norm", 0.5, "dpsgd_epoch", "convnet-w32-groupnorm/ghost",
               ["convnet-w32-groupnorm/bare", "convnet-w32-groupnorm/ghost"], (3, 2)),
    Comparison("φ of 64 models × 50,000 records", 0.1, "lira_score", "phi", ["phi"], (9, 3)),
    Comparison("LiRA online", 0.1, "lira_score", "online", ["online"], (9, 3), PHI),
    Comparison("LiRA online, one spread", 0.1, "lira_score", "online-fixed", ["online-fixed"], (9, 3), PHI),
    Comparison("LiRA offline", 0.1, "lira_score", "offline", ["offline"], (9, 3), PHI),
    Comparison("RMIA offline", 0.1, "lira_score", "rmia", ["rmia"], (9, 3)),
    Comparison("ROC, AUC and rates", 0.1, "lira_score", "roc", ["roc"], (999, 99)),
    Comparison("ε by PLD, q = 0.05, 400 steps", 0.1, "accounting", "G07/pld", ["G07/dp_accounting-pld"], (9, 3)),
    Comparison("ε by RDP, q = 0.05, 400 steps", 0.1, "accounting", "G07/rdp", ["G07/dp_accounting-rdp", "G07/opacus-rdp"], (9, 5)),
    Comparison("16 shadow MLPs, digits", 0.25, "shadow_models", "optdigits-mlp", ["optdigits-mlp"], (1, 1)),
    Comparison("64 shadow MLPs, digits", 0.25, "shadow_models", "optdigits-mlp-64", ["optdigits-mlp-64"], (1, 1)),
    Comparison("16 shadow ConvNets, Fashion mini", 0.25, "shadow_models", "fashion-mini-convnet", ["fashion-mini-convnet"], (1, 1)),
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="a Python that has the peers' requirements")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="only rows whose name contains this text")
    parser.add_argument("--json", type=Path, help="also write all that was measured to this file")
    options = parser.parse_args()
    bench = build()
    rows, loads = [], []
    print("| work | here | peer | time here / there | goal | memory here / there, MB |\n|---|---|---|---|---|---|", flush=True)
    for comparison in COMPARISONS:
        if options.only in comparison.what:
            row = measure(comparison, bench, options, loads)
            rows.append(row)
            print(line(row), flush=True)
    print(f"\n{options.rounds} rounds; mean load before a process {statistics.mean(loads):.2f}" if loads else "no row has that name")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0


def build() -> list[str]:
    """The benchmark's program, by cargo."""
    command = ["cargo", "bench", "--profile", "dev", "--bench", "peers", "--no-run", "--message-format", "json"]
    built = subprocess.run(command, cwd=REPO, check=True, stdout=subprocess.PIPE, text=True).stdout
    messages = [json.loads(text) for text in built.splitlines() if text.startswith("{")]
    program = next(m["executable"] for m in messages if m.get("target", {}).get("name") == "peers" and m.get("executable"))
    libraries = subprocess.run(["rustc", "--print", "target-libdir"], cwd=REPO, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    deps = str(Path(program).parent)
    os.environ["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, [libraries, deps, os.environ.get("LD_LIBRARY_PATH")]))
    return [program]


def measure(comparison: Comparison, bench: list[str], options: argparse.Namespace, loads: list[float]) -> dict:
    ours, theirs, ratios, memory = [], [], [], ([], [])
    for _ in range(options.rounds):
        mine, kept = run([*bench, comparison.workload], comparison.ours, comparison.repeats[0], PEERS.parent, loads, KEPT_MEMORY)
        memory[0].append(kept)
        script = [options.python, f"{comparison.workload}.py"]
        times = []
        for case in comparison.theirs:
            time, kept = run(script, case, comparison.repeats[1], PEERS, loads)
            times.append(time)
            memory[1].append(kept)
        besides = sum(run(script, case, comparison.repeats[1], PEERS, loads)[0] for case in comparison.add)
        ours.append(mine)
        theirs.append(min(times) + besides)
        ratios.append(ours[-1] / theirs[-1])
    return {"what": comparison.what, "goal": comparison.goal, "ours_ms": ours, "theirs_ms": theirs, "ratios": ratios,
            "ours_mb": max(memory[0]), "theirs_mb": max(memory[1])}


def run(command: list[str], case: str | None, repeats: int, folder: Path, loads: list[float], more: dict[str, str] | None = None) -> tuple[float, float]:
    """Median time of one case in milliseconds, and the largest memory of the process in MB."""
    loads.append(os.getloadavg()[0])
    command = [*command, "--json", "--repeats", str(repeats), *(["--case", case] if case else [])]
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out, env={**os.environ, **(more or {})})
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        found = [json.loads(text) for text in out if text.startswith("{")]
    if process.returncode or not found:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode} and {len(found)} results")
    row = found[-1]
    unit, value = row["unit"], row["median"]
    if unit.startswith("samples/s"):
        return 1e6 / value, usage.ru_maxrss / 1024  # per 1,000 samples
    return value * (1e3 if unit.startswith("s") else 1.0), usage.ru_maxrss / 1024


def line(row: dict) -> str:
    ours, theirs = statistics.median(row["ours_ms"]), statistics.median(row["theirs_ms"])
    ratio, low, high = statistics.median(row["ratios"]), min(row["ratios"]), max(row["ratios"])
    mark = "" if ratio <= row["goal"] else " (missed)"
    return (f"| {row['what']} | {amount(ours)} | {amount(theirs)} | **{ratio:.2f}** [{low:.2f}, {high:.2f}] | {row['goal']}{mark} | "
            f"{row['ours_mb']:.0f} / {row['theirs_mb']:.0f} |")


def amount(milliseconds: float) -> str:
    return f"{milliseconds / 1e3:.2f} s" if milliseconds >= 1e3 else f"{milliseconds:.3g} ms"


if __name__ == "__main__":
    raise SystemExit(main())
