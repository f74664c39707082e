"""Long work in the real kernel: jobs in the background, progress while a cell runs, panics, and the stop button.

    ~/.cache/freelunch/venv/bin/python tests/python/long_runs.py

Run `notebooks/start.py` once before: it installs the Python used here and enters the kernel. Prints what was measured; exits with 1 when
something that `freelunch::job` promises does not hold.
"""

import json
import os
import queue
import re
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
REPO = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPO / "notebooks"), str(REPO / "notebooks/kernel")]

import start  # noqa: E402
from run import Kernel, is_end_of, outputs_of  # noqa: E402

# Far more steps than there is time for.
ENDLESS = 10_000_000
CELL_TIMEOUT_S = 300
# A condensation that is kept is written down every 20 s.
KEPT_AFTER_S = 26
SET_UP = """use freelunch::prelude::*;
let lab = Lab::new()?.seed(7).keep({folder})?;
let train = Dataset::digits()?.train;
let kept_number: usize = 41;"""
CONDENSE = "DistributionMatching::small(1).with_arch(Arch::conv_net().with_width(8).with_depth(2)).with_steps({steps})"


class Session:
    """A kernel, what its cells answered, and what does not hold."""

    def __init__(self, folder: Path, problems: list[str]):
        self.kernel, self.problems, self.folder = Kernel("freelunch", folder), problems, folder

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kernel.close()

    def run(self, source: str) -> "Answer":
        """Runs a cell to its end."""
        started = time.monotonic()
        messages = [(0.0, message) for message in self.kernel.execute(source, CELL_TIMEOUT_S)]
        return Answer(messages, time.monotonic() - started)

    def watch(self, source: str, stop_after_s: float | None = None) -> "Answer":
        """Runs a cell and notes when each message came; presses the stop button after a while."""
        request = self.kernel.client.execute(source, allow_stdin=False)
        started, messages, stopped = time.monotonic(), [], None
        while True:
            seconds = time.monotonic() - started
            if stop_after_s and stopped is None and seconds > stop_after_s:
                self.kernel.manager.interrupt_kernel()
                stopped = seconds
            if seconds > CELL_TIMEOUT_S:
                self.claim(False, f"the cell ends within {CELL_TIMEOUT_S} s: {source.splitlines()[0]}")
                break
            try:
                message = self.kernel.client.get_iopub_msg(timeout=0.2)
            except queue.Empty:
                continue
            messages.append((time.monotonic() - started, message))
            if is_end_of(message, request):
                break
        seconds = time.monotonic() - started
        messages += [(seconds, message) for message in self.kernel.drain(0.5)]
        return Answer(messages, seconds, stopped)

    def claim(self, holds: bool, claim: str, measured: object = "") -> None:
        """Prints a claim and whether it holds."""
        print(f"{'ok ' if holds else 'NOT'}  {claim}{f': {measured}' if measured != '' else ''}", flush=True)
        if not holds:
            self.problems.append(claim)


class Answer:
    """What a cell sent."""

    def __init__(self, messages: list[tuple[float, dict]], seconds: float, stopped: float | None = None):
        self.messages, self.seconds, self.stopped = messages, seconds, stopped
        outputs = outputs_of([message for _, message in messages])
        self.data = next((output.data for output in outputs if output.output_type == "execute_result"), {})
        self.value = str(self.data.get("text/plain", "")).strip('"')
        self.stderr = "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stderr")
        self.errors = "\n".join(output.evalue for output in outputs if output.output_type == "error")
        self.lines_at = [at for at, message in messages if message["msg_type"] == "stream" and message["content"]["name"] == "stdout"]

    @property
    def text(self) -> str:
        return " | ".join(part.strip().replace("\n", " ") for part in (self.value, self.stderr, self.errors) if part.strip())[:600]


def number(answer: Answer) -> float:
    match = re.search(r"-?\d+(\.\d+)?", answer.value)
    return float(match[0]) if match else float("nan")


def set_up(session: Session) -> None:
    answer = session.run(SET_UP.format(folder=json.dumps(str(session.folder / "runs"))))
    session.claim(not answer.stderr and not answer.errors, "the set-up cell runs", answer.text or f"{answer.seconds:.1f} s")


def background(session: Session) -> None:
    """A job between cells, and its cancelling."""
    work = CONDENSE.format(steps=ENDLESS)
    answer = session.run(
        "let data = train.clone(); let begun = std::time::Instant::now();\n"
        f'let job = lab.start("endless", move |lab| {work}.synthesize(&data, lab))?;\n'
        "begun.elapsed().as_secs_f64()"
    )
    measured = f"{1000 * number(answer):.1f} ms; the cell with its compiling {answer.seconds:.1f} s"
    session.claim(number(answer) < 0.5, "a job starts at once", measured)
    steps = "job.snapshot().rows().first().map_or(0, |task| task.done)"
    first = number(session.run(steps))
    time.sleep(2)
    second = number(session.run(steps))
    session.claim(second > first, "it goes on between cells", f"{first:.0f}, later {second:.0f} steps")
    answer = session.run("job.clone()")
    complete = "text/html" in answer.data and "image/png" in answer.data
    session.claim(complete and "running" in answer.value, "a cell shows how far it is", answer.value.splitlines()[:1])
    session.claim(number(session.run("kept_number + 1")) == 42, "other cells run meanwhile")
    answer = session.run('panic!("in a cell, on purpose");')
    session.claim("on purpose" in answer.stderr + answer.errors, "a cell that panics says so", answer.text[:160])
    answer = session.run('format!("{:?} {}", job.state(), kept_number)')
    session.claim(answer.value == "Running 41", "neither job nor variables are lost by it", answer.text)
    answer = session.run('job.cancel();\nlet set = job.wait()?;\nformat!("{:?} {} {}", job.state(), set.len(), kept_number)')
    kept = answer.value == "Cancelled 10 41"
    session.claim(kept, "cancel() gives what there is and keeps the variables", f"{answer.text}, {answer.seconds:.1f} s")
    answer = session.run(
        'let data = train.clone(); let short = lab.start("short", move |lab| Train::new(Arch::Logistic).with_epochs(3).fit(&data, lab))?;\n'
        'short.wait()?;\nformat!("{:?} {}", short.state(), short.snapshot().fraction())'
    )
    session.claim(answer.value == "Finished 1", "wait() returns the result", answer.text)
    answer = session.run("short.clone()")
    session.claim("finished" in answer.value, "and the cell shows it", answer.value.splitlines()[:1])
    answer = session.run(
        'let bad = lab.start("bad", |_| -> freelunch::Result<usize> { panic!("in a job, on purpose") })?;\n'
        "bad.wait().map_err(|error| error.to_string()).unwrap_err()"
    )
    readable = "panicked (in a job, on purpose)" in answer.value
    session.claim(readable, "a panic inside a job is a readable error", answer.value)
    session.claim(number(session.run("kept_number")) == 41, "and the kernel lives")


def progress(session: Session) -> None:
    """Lines on the way to the reader while the cell still runs."""
    # As many steps as take about eight seconds here.
    work = CONDENSE.format(steps=40)
    one = session.run(f"let begun = std::time::Instant::now();\n{work}.synthesize(&train, &lab)?;\nbegun.elapsed().as_secs_f64() / 40.0")
    steps = max(50, min(200_000, int(8 / max(number(one), 1e-5))))
    answer = session.watch(f"{CONDENSE.format(steps=steps)}.synthesize(&train, &lab)?.len()")
    early = [at for at in answer.lines_at if at < answer.seconds - 1]
    measured = f"{len(early)} lines, at {', '.join(f'{at:.1f}' for at in early[:5])} s of {answer.seconds:.1f} s"
    session.claim(len(early) > 0, "progress comes while a cell runs", measured)


def stop_button(session: Session) -> int:
    """Interrupts a condensation; returns how many steps were found again."""
    work = 'let settings = ("sum", 3);\nlet saved = lab.start_saved("a sum", &settings, |_| Ok((1..=3).sum::<usize>()))?;\nsaved.wait()?'
    session.claim(number(session.run(work)) == 6, "a saved job answers")
    answer = session.watch(f"{CONDENSE.format(steps=ENDLESS)}.synthesize(&train, &lab)?.len()", stop_after_s=KEPT_AFTER_S)
    if answer.stopped is None:
        session.claim(False, "the cell runs until it is stopped", answer.text)
        return 0
    took = answer.seconds - answer.stopped
    session.claim(took < 15, "the stop button ends a cell", f"after {took:.1f} s; it says {answer.text!r}")
    session.claim(session.kernel.manager.is_alive(), "the kernel's process lives")
    answer = session.run("kept_number")
    session.claim(bool(answer.errors or answer.stderr), "the variables are gone, as the documentation says", answer.text[:240])
    set_up(session)
    return found_again(session)


def found_again(session: Session) -> int:
    """What `Lab::runs` lists of the two that were kept."""
    answer = session.run(
        "let runs = lab.runs()?;\n"
        'runs.rows().iter().map(|row| format!("{:?} {} {}", row.kind, row.name, row.done)).collect::<Vec<_>>().join("; ")'
    )
    steps = [int(found) for found in re.findall(r"Condensation [^;]*? (\d+)(?=;|$)", answer.value)]
    both = "Job a sum 1" in answer.value and max(steps, default=0) > 0
    session.claim(both, "runs() lists the job and the unfinished condensation", answer.text)
    return max(steps, default=0)


def another_kernel(session: Session, steps: int) -> None:
    """A kernel that starts afterwards finds the same and goes on."""
    set_up(session)
    session.claim(found_again(session) >= steps > 0, "a new kernel finds the same")
    answer = session.run(
        'let saved = lab.start_saved("a sum", &("sum", 3), |_| -> freelunch::Result<usize> { panic!("computed again") })?;\nsaved.wait()?'
    )
    session.claim(number(answer) == 6, "and reads the job's result instead of computing it", answer.text)
    work = CONDENSE.format(steps=ENDLESS)
    session.run(f'let data = train.clone(); let job = lab.start("again", move |lab| {work}.synthesize(&data, lab))?;')
    time.sleep(3)
    done = number(session.run("job.snapshot().rows().first().map_or(0, |task| task.done)"))
    session.claim(done >= steps, "and the condensation goes on where it was", f"{steps} steps were kept, {done:.0f} soon after")
    session.run("job.cancel(); job.wait()?.len()")


def main() -> int:
    os.environ["JUPYTER_PATH"] = start.join_paths(os.environ.get("JUPYTER_PATH"), start.kernel_home())
    started, problems = time.monotonic(), []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with Session(folder, problems) as session:
            print(f"     a kernel is ready after {time.monotonic() - started:.1f} s", flush=True)
            set_up(session)
            background(session)
            progress(session)
            steps = stop_button(session)
        with Session(folder, problems) as session:
            another_kernel(session, steps)
    print(f"{len(problems)} do not hold, {time.monotonic() - started:.0f} s")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
