"""Runs notebooks in the real kernel and fails on anything that a reader would call broken.

`start.py --run` calls this inside its virtual environment. The kernel itself reports success for a cell that panics and for one whose
`?` fails: the error is only text on stderr, which may even come after the message that the cell is done. So here a cell fails when

* it does not compile, panics, ends in a failing `?`, or writes anything else to stderr (`HARMLESS` lists what may stand there);
* the kernel dies or the cell takes longer than `--timeout`;
* its last line is an expression without `;` and nothing, just `()`, or only the `Debug` line of something that can be drawn was shown
  (the kernel does that with a value that is made, or moved out of a variable, in that line: bind it first).

A cell tagged `raises-exception` must fail, and its error is kept: for notebooks that show an error on purpose.

With `--solutions` the hidden solutions are run, too: after the cells, in the same kernel, every ```rust block inside a <details> of the
notebook's text, in order and as strictly. They are checked, not written: the notebook's file and its page hold its own cells only.
"""

import argparse
import queue
import re
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import NoSuchKernel
from jupyter_client.manager import KernelManager

READY_WITHIN_S = 300
# How long stderr may lag behind the end of a cell; the end of the notebook waits longer, once.
QUIET_S, QUIET_AT_THE_END_S = 0.2, 1.0
# The `Debug` lines of what is made to be looked at.
DRAWABLE = re.compile(r"(Figure|Table|Plot|ImageGrid|Film|Report|RocSet)\(")
# Text on stderr that is no error, as regular expressions for whole lines. Our own progress goes to stdout: nothing is known yet.
HARMLESS: tuple[str, ...] = ()
# A hidden solution, and a block of code in it.
DETAILS = re.compile(r"<details\b.*?</details>", re.DOTALL)
RUST = re.compile(r"^```rust\n(.*?)^```", re.DOTALL | re.MULTILINE)


class CellFailed(Exception):
    """Why a cell is broken."""


class Kernel:
    """One kernel process and the messages it sends."""

    def __init__(self, name: str, folder: Path):
        self.log = tempfile.TemporaryFile("w+")
        self.manager = KernelManager(kernel_name=name)
        try:
            self.manager.start_kernel(cwd=str(folder), stdout=self.log, stderr=self.log)
        except NoSuchKernel as error:
            raise CellFailed(f"it asks for the kernel `{name}`, which start.py does not know; ours is `freelunch`") from error
        self.client = self.manager.client()
        self.client.start_channels()
        try:
            self.client.wait_for_ready(timeout=READY_WITHIN_S)
            self.wait_for_output_channel()
        except RuntimeError as error:
            text = f"the kernel did not start: {error}\n{self.last_words()}"
            self.close()
            raise CellFailed(text) from error
        except KeyboardInterrupt:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)

    def wait_for_output_channel(self) -> None:
        """The output channel may connect after the others; without it the first cell's output would be lost."""
        deadline = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline:
            self.client.kernel_info()
            try:
                self.client.get_iopub_msg(timeout=1)
                break
            except queue.Empty:
                continue
        self.drain(0.1)

    def drain(self, quiet_s: float) -> list[dict]:
        """Messages until none comes for `quiet_s`."""
        messages = []
        while True:
            try:
                messages.append(self.client.get_iopub_msg(timeout=quiet_s))
            except queue.Empty:
                return messages

    def execute(self, source: str, timeout_s: float, late: bool = True) -> list[dict]:
        """Runs a cell; returns its messages, with `late` also those that come a little after its end."""
        request = self.client.execute(source, allow_stdin=False)
        deadline = time.monotonic() + timeout_s
        messages = []
        while True:
            try:
                message = self.client.get_iopub_msg(timeout=1)
            except queue.Empty:
                self.check_alive()
                if time.monotonic() > deadline:
                    raise CellFailed(f"took longer than {timeout_s:.0f} s") from None
                continue
            messages.append(message)
            if is_end_of(message, request):
                return messages + (self.drain(QUIET_S) if late else [])

    def check_alive(self) -> None:
        if not self.manager.is_alive():
            raise CellFailed(f"the kernel died\n{self.last_words()}")

    def last_words(self) -> str:
        self.log.seek(0)
        return "\n".join(self.log.read().splitlines()[-30:])


def is_end_of(message: dict, request: str) -> bool:
    return (
        message["msg_type"] == "status"
        and message["content"]["execution_state"] == "idle"
        and message["parent_header"].get("msg_id") == request
    )


def outputs_of(messages: list[dict]) -> list:
    """A cell's outputs as a notebook keeps them; neighbouring lines of one stream are one output."""
    outputs = []
    for message in messages:
        if message["msg_type"] not in ("stream", "execute_result", "display_data", "error"):
            continue
        output = nbformat.v4.output_from_msg(message)
        last = outputs[-1] if outputs else None
        if last and output.output_type == last.output_type == "stream" and output.name == last.name:
            last.text += output.text
        else:
            outputs.append(output)
    return outputs


def check(source: str, outputs: list) -> None:
    """Raises CellFailed when the outputs show an error, or show nothing where something was asked for."""
    errors = [output.evalue for output in outputs if output.output_type == "error"]
    if errors:
        raise CellFailed("\n".join(errors))
    stderr = "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stderr")
    unexpected = [line for line in stderr.splitlines() if line.strip() and not any(re.fullmatch(known, line) for known in HARMLESS)]
    if unexpected:
        raise CellFailed("stderr: " + "\n".join(unexpected[:12]))
    if not ends_in_value(source):
        return
    shown = [output for output in outputs if output.output_type == "execute_result"]
    if any(output.data.get("text/plain") == "()" and len(output.data) == 1 for output in shown):
        raise CellFailed("shows only `()`: end the last line with `;`, or in a value")
    if not outputs or not any(has_content(output) for output in outputs):
        raise CellFailed("ends in an expression but shows nothing")


def check_drawn(outputs: list) -> None:
    """Raises CellFailed where the page would hold one line in place of a picture or table."""
    shown = [output.data for output in outputs if output.output_type == "execute_result"]
    if any(list(data) == ["text/plain"] and DRAWABLE.match(data["text/plain"]) for data in shown):
        raise CellFailed("shows a figure or table by its `Debug` line: bind it with `let`, and end the cell with the name")


def has_content(output) -> bool:
    return bool(output.text.strip()) if output.output_type == "stream" else any(output.data.values())


def ends_in_value(source: str) -> bool:
    """Whether the last line is an expression without `;`: the reader expects to see its value."""
    lines = [re.sub(r"(^|\s)//.*$", "", line).strip() for line in source.splitlines()]
    lines = [line for line in lines if line and not line.startswith(":")]
    return bool(lines) and not lines[-1].endswith((";", "}"))


def run_notebook(path: Path, options: argparse.Namespace) -> str | None:
    """Runs one notebook and writes what came out; returns the first problem."""
    notebook = nbformat.read(path, as_version=4)
    started, problem = time.monotonic(), None
    name = notebook.metadata.get("kernelspec", {}).get("name", "freelunch")
    try:
        with Kernel(name, path.resolve().parent) as kernel:
            notebook.metadata["language_info"] = language_info(kernel)
            run_cells(notebook, kernel, options.timeout)
            if options.solutions:
                run_solutions(notebook, kernel, options.timeout)
    except CellFailed as failure:
        problem = str(failure)
    save(notebook, path, options, complete=problem is None)
    state = "ok" if problem is None else "FAILED"
    print(f"{path.name}: {len(notebook.cells)} cells, {time.monotonic() - started:.0f} s, {state}", flush=True)
    return problem


def run_cells(notebook, kernel: Kernel, timeout_s: float) -> None:
    """Runs the code cells in order, stopping at the first broken one."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    for number, cell in enumerate(cells, start=1):
        expected_to_fail = "raises-exception" in cell.metadata.get("tags", [])
        try:
            cell.outputs = outputs_of(kernel.execute(cell.source, timeout_s))
            number_outputs(cell, number)
            check(cell.source, cell.outputs)
            check_drawn(cell.outputs)
        except CellFailed as failure:
            if not expected_to_fail:
                raise CellFailed(where(number, cell) + str(failure)) from failure
        else:
            if expected_to_fail:
                raise CellFailed(where(number, cell) + "is tagged `raises-exception` but did not fail")
    late = outputs_of(kernel.drain(QUIET_AT_THE_END_S))
    if cells and late and "raises-exception" not in cells[-1].metadata.get("tags", []):
        cells[-1].outputs += late
        try:
            check("", late)
        except CellFailed as failure:
            raise CellFailed(where(len(cells), cells[-1]) + str(failure)) from failure


def solutions_of(notebook) -> list[str]:
    """The code of the hidden solutions, in the order of the text."""
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    return [code for text in texts for hidden in DETAILS.findall(text) for code in RUST.findall(hidden)]


def run_solutions(notebook, kernel: Kernel, timeout_s: float) -> None:
    """Runs the solutions like cells, in one kernel one after the other; all of them, to name every broken one at once."""
    problems = []
    for number, code in enumerate(solutions_of(notebook), start=1):
        started = time.monotonic()
        try:
            check(code, outputs_of(kernel.execute(code, timeout_s)))
            print(f"  solution {number}: {time.monotonic() - started:.0f} s", flush=True)
        except CellFailed as failure:
            kernel.check_alive()
            problems.append(f"solution {number}, `{code.strip().splitlines()[0]}`: {failure}")
    if problems:
        raise CellFailed("\n".join(problems))


def where(number: int, cell) -> str:
    return f"code cell {number}, `{cell.source.strip().splitlines()[0]}`: "


def number_outputs(cell, number: int) -> None:
    """The kernel counts from 2; a notebook counts from 1."""
    cell.execution_count = number
    for output in cell.outputs:
        if output.output_type == "execute_result":
            output.execution_count = number


def language_info(kernel: Kernel) -> dict:
    request = kernel.client.kernel_info()
    while True:
        reply = kernel.client.get_shell_msg(timeout=READY_WITHIN_S)
        if reply["parent_header"].get("msg_id") == request:
            return reply["content"]["language_info"]


def save(notebook, path: Path, options: argparse.Namespace, complete: bool) -> None:
    """The notebook with its outputs and its page. A broken run goes beside the page: it does not overwrite the notebook."""
    options.html.mkdir(parents=True, exist_ok=True)
    target = path
    if options.output is not None:
        options.output.mkdir(parents=True, exist_ok=True)
        target = options.output / path.name
    if not complete:
        target = options.html / f"{path.stem}.failed.ipynb"
    nbformat.write(notebook, target)
    from nbconvert import HTMLExporter  # takes seconds to import

    page, _ = HTMLExporter().from_notebook_node(notebook)
    (options.html / f"{path.stem}.html").write_text(page, encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="+", type=Path)
    parser.add_argument("--output", type=Path, help="folder for the executed notebooks; default: in place")
    parser.add_argument("--html", type=Path, required=True, help="folder for the pages")
    parser.add_argument("--timeout", type=float, default=600)
    parser.add_argument("--solutions", action="store_true", help="run the hidden solutions of the exercises after the cells")
    options = parser.parse_args()
    try:
        problems = [problem for path in options.notebooks if (problem := report(path, options))]
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    print(f"pages are in {options.html}")
    return 1 if problems else 0


def report(path: Path, options: argparse.Namespace) -> str | None:
    problem = run_notebook(path, options)
    if problem is not None:
        print(f"{path}: {problem}\n", file=sys.stderr, flush=True)
    return problem


if __name__ == "__main__":
    sys.exit(main())
