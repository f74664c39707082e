"""Measures what a cell costs: the freelunch kernel against an empty evcxr kernel, by turns, medians in seconds, and (on Linux) the memory of
the idle kernel after these cells: the proportional set size of all its processes.

    python3 notebooks/start.py --measure

Run it on a machine that does nothing else; the last column is what the library adds.
"""

import json
import os
import statistics
import tempfile
import time
from pathlib import Path

from jupyter_client.kernelspec import KernelSpecManager
from run import Kernel, check, outputs_of

ROUNDS = 5
CELLS_A_ROUND = 5
EMPTY, OURS = "freelunch-empty", "freelunch"
MEMORY = "memory at rest, MB"
PREPARE = {OURS: "use freelunch::prelude::*;", EMPTY: "#[derive(Debug, Clone)] pub struct Data(pub Vec<f64>);"}
MAKE = {OURS: "Dataset::toy()", EMPTY: "Data(vec![0.5; 3])"}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_empty_kernel(Path(folder))
        seconds = {EMPTY: {}, OURS: {}}
        for _ in range(ROUNDS):
            for kernel in (EMPTY, OURS):
                for what, value in one_round(kernel, Path(folder)):
                    seconds[kernel].setdefault(what, []).append(value)
    print(f"medians of {ROUNDS} kernels, in seconds\n{'':24}{'empty':>8}{'ours':>8}{'added':>8}")
    for what, values in seconds[OURS].items():
        ours, empty = statistics.median(values), statistics.median(seconds[EMPTY][what])
        digits = 0 if what == MEMORY else 2
        print(f"{what:24}{empty:8.{digits}f}{ours:8.{digits}f}{ours - empty:8.{digits}f}")


def write_empty_kernel(folder: Path) -> None:
    """The same evcxr_jupyter and toolchain without the library."""
    spec = KernelSpecManager().get_kernel_spec(OURS).to_dict()
    evcxr = next(word for word in spec["argv"] if word.endswith("evcxr_jupyter"))
    spec["argv"] = [evcxr, "--control_file", "{connection_file}"]
    spec["env"]["EVCXR_CONFIG_DIR"] = str(folder)
    target = folder / "kernels" / EMPTY
    target.mkdir(parents=True)
    (target / "kernel.json").write_text(json.dumps(spec))
    os.environ["JUPYTER_PATH"] = os.pathsep.join([str(folder), os.environ.get("JUPYTER_PATH", "")])


def one_round(name: str, folder: Path):
    """Times one kernel's life; every cell's text is new, so that nothing is compiled already."""
    started = time.monotonic()
    with Kernel(name, folder) as kernel:
        yield "kernel ready", time.monotonic() - started
        yield "first cell", timed(kernel, PREPARE[name])
        yield "one-line cell", statistics.median(timed(kernel, f'println!("{i}");') for i in range(CELLS_A_ROUND))
        yield "first let", timed(kernel, f"let first = {MAKE[name]};")
        yield "later let", statistics.median(timed(kernel, f"let later{i} = {MAKE[name]};") for i in range(CELLS_A_ROUND))
        yield "display cell", statistics.median(timed(kernel, f"/* {i} */ first.clone()") for i in range(CELLS_A_ROUND))
        if Path("/proc/self/smaps_rollup").exists():
            yield MEMORY, memory_mb(kernel.manager.provisioner.process.pid)


def memory_mb(process: int) -> float:
    """The proportional set size of a process and all that it started: pages that they share count once."""
    shares = [int(line.split()[1]) for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines() if line.startswith("Pss:")]
    children = Path(f"/proc/{process}/task").glob("*/children")
    return sum(shares) / 1000 + sum(memory_mb(int(child)) for file in children for child in file.read_text().split())


def timed(kernel: Kernel, source: str) -> float:
    started = time.monotonic()
    messages = kernel.execute(source, timeout_s=120, late=False)
    seconds = time.monotonic() - started
    check(source, outputs_of(messages))
    return seconds


if __name__ == "__main__":
    main()
