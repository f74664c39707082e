"""Looks at the notebooks as readers see them: in JupyterLab, narrow and wide, light and dark, and on the pages of `start.py --pages`.

    ~/.cache/freelunch/venv/bin/python tests/python/jupyterlab.py --screenshots FOLDER [--pages FOLDER] [NOTEBOOK ...]

Run `notebooks/start.py` once before: it installs the Python used here and enters the kernel. Needs Chromium. Each notebook is opened twice:
as its author sees it (trusted), and as somebody sees it who has just downloaded it (not trusted: JupyterLab cleans its HTML). Checked is
that all displays are there and visible, that nothing is cut off and no text leaves its figure, that images are loaded, and that text has
the contrast that WCAG 2 asks for (level AA). A notebook of three cells is run in the real kernel. Any failure ends with exit code 1.
"""

import argparse
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

sys.dont_write_bytecode = True
REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "notebooks"))

import nbformat  # noqa: E402
import start  # noqa: E402
from devtools import Browser  # noqa: E402
from nbformat.sign import NotebookNotary  # noqa: E402

LOOKS = Path(__file__).with_name("looks.js").read_text(encoding="utf-8")
WIDTHS = (1280, 800)
PAGE_WIDTHS = (1280, 800, 375)
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
HEIGHT, TALLEST = 900, 12_000
# From the first to the last cell, and JupyterLab's own bars.
TALL = """() => {
  const boxes = [...document.querySelectorAll('.jp-Notebook .jp-Cell')].map((cell) => cell.getBoundingClientRect());
  return Math.ceil(boxes.at(-1).bottom - boxes[0].top) + 220;
}"""
OUTPUT = ".jp-Notebook .jp-OutputArea-output"
SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True},
}
LIVE = (
    "use freelunch::prelude::*;\nlet lab = Lab::new()?.seed(7);\nlab",
    'let data = Dataset::toy();\nPlot::new("Toy").x_label("x").y_label("y").line("a line", &[(0.0, 0.0), (1.0, 1.0)])',
    'Table::new(["what", "value"]).row(["records", &data.len().to_string()])',
)


class Lab:
    """A JupyterLab of its own: settings, workspaces and signatures in a folder that is removed."""

    def __init__(self, notebooks: list[Path]):
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        root = Path(self.folder.name)
        self.files = root / "files"
        for trusted in ("trusted", "downloaded"):
            (self.files / trusted).mkdir(parents=True)
        self.environment = os.environ | {
            "JUPYTER_PATH": start.join_paths(os.environ.get("JUPYTER_PATH"), start.kernel_home()),
            "JUPYTER_CONFIG_DIR": str(root / "config"),
            "JUPYTER_DATA_DIR": str(root / "data"),
            "JUPYTERLAB_SETTINGS_DIR": str(root / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(root / "workspaces"),
        }
        for name, values in SETTINGS.items():
            file = root / "settings/@jupyterlab" / f"{name}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(values))
        (root / "data").mkdir()
        self.notary = NotebookNotary(data_dir=str(root / "data"))
        self.cells = {path.name: self.copy(path) for path in notebooks}
        self.write_live()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.token, self.address = secrets.token_hex(16), f"http://127.0.0.1:{port}"
        options = [f"--port={port}", "--no-browser", f"--IdentityProvider.token={self.token}", f"--ServerApp.root_dir={self.files}"]
        options += ["--LabApp.expose_app_in_browser=True", *(["--allow-root"] if os.geteuid() == 0 else [])]
        self.log = (root / "log.txt").open("w")
        command = [sys.executable, "-m", "jupyterlab", *options]
        # Not here: Python would take this file for the package `jupyterlab`.
        self.process = subprocess.Popen(command, cwd=self.files, env=self.environment, stdout=self.log, stderr=self.log)
        self.wait_until_ready()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()
        self.folder.cleanup()

    def copy(self, path: Path) -> int:
        """Puts the notebook into both folders; with a Python kernel, since nothing is run and ours takes seconds to start."""
        notebook = nbformat.read(path, as_version=4)
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
        nbformat.write(notebook, self.files / "downloaded" / path.name)
        # A mark of difference, else the signature would hold for both.
        notebook.metadata["freelunch"] = "trusted"
        nbformat.write(notebook, self.files / "trusted" / path.name)
        self.notary.sign(nbformat.read(self.files / "trusted" / path.name, as_version=4))
        return len(notebook.cells)

    def write_live(self) -> None:
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in LIVE])
        notebook.metadata["kernelspec"] = {"name": "freelunch", "display_name": "Rust (freelunch)", "language": "rust"}
        nbformat.write(notebook, self.files / "live.ipynb")

    def ask(self, path: str, method: str = "GET"):
        request = urllib.request.Request(f"{self.address}{path}", method=method, headers={"Authorization": f"token {self.token}"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                self.ask("/api/status")
                return
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.5)
        raise SystemExit("JupyterLab did not start:\n" + Path(self.log.name).read_text())

    def end_kernels(self) -> None:
        for session in self.ask("/api/sessions"):
            self.ask(f"/api/sessions/{session['id']}", "DELETE")

    def page(self, name: str) -> str:
        # Another workspace each time: else JupyterLab opens the last notebook again.
        return f"{self.address}/lab/workspaces/{secrets.token_hex(4)}/tree/{name}?token={self.token}"


class Report:
    """What was looked at and what was wrong."""

    def __init__(self):
        self.lines: list[tuple] = []
        self.failures: list[str] = []

    def add(self, name: str, view: str, seen: dict, pictures: int) -> None:
        self.lines.append((name, view, seen["displays"], seen["drawings"], seen["images"], seen["tables"], pictures, len(seen["problems"])))
        self.failures += [f"{name}, {view}, {problem}" for problem in seen["problems"]]
        print("{:40} {:22} {:4} {:4} {:4} {:4} {:4} {:4}".format(*self.lines[-1]), flush=True)


def look(browser: Browser, selector: str) -> dict:
    browser.wait("[...document.images].every((image) => image.complete)")
    return browser.run(f"({LOOKS})({json.dumps(selector)})")


def merged(parts: list[dict]) -> dict:
    """Several looks at the same displays as one; every problem once, with the views that have it."""
    problems: dict[str, list[str]] = {}
    for part in parts:
        for problem in part["problems"]:
            problems.setdefault(problem, []).append(part["view"])
    return parts[0] | {"problems": [f"{problem} ({', '.join(views)})" for problem, views in problems.items()]}


def stored(path: Path) -> dict:
    """What the stored outputs hold, counted without a browser."""
    counts = {"displays": 0, "drawings": 0, "images": 0, "tables": 0}
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", []):
            text = output.get("data", {}).get("text/html", "")
            counts["displays"] += 1
            # Drawings stand in drawings: the outer ones are those that begin at depth zero.
            depth = 0
            for part in text.split("<")[1:]:
                counts["drawings"] += part.startswith("svg") and depth == 0
                depth += part.startswith("svg") - part.startswith("/svg")
            counts["images"] += text.count("<img")
            counts["tables"] += text.count("<table")
    return counts


def look_at_notebook(browser: Browser, lab: Lab, path: Path, folder: str, screenshots: Path | None) -> tuple[dict, int]:
    """One notebook at both widths and in both themes; downloaded at one, to see what JupyterLab takes out."""
    widths, themes = (WIDTHS, THEMES) if folder == "trusted" else (WIDTHS[:1], {"dark": THEMES["dark"]})
    browser.size(WIDTHS[0], HEIGHT)
    browser.open(lab.page(f"{folder}/{path.name}"))
    browser.wait(f"document.querySelectorAll('.jp-Notebook .jp-Cell').length === {lab.cells[path.name]}")
    wanted, parts, pictures = stored(path), [], 0
    browser.wait(f"document.querySelectorAll('{OUTPUT}').length >= {wanted['displays']}", 60)
    for width in widths:
        for scheme, theme in themes.items():
            browser.size(width, HEIGHT)
            browser.run(f"window.jupyterapp.commands.execute('apputils:change-theme', {{theme: '{theme}'}}).then(() => true)")
            browser.wait(f"document.body.dataset.jpThemeName === '{theme}'")
            if screenshots:
                height = browser.run(f"({TALL})()")
                browser.size(width, min(height, TALLEST))
            time.sleep(0.5)
            parts.append(look(browser, OUTPUT) | {"view": f"{width} px {scheme}"})
            if screenshots:
                browser.picture(screenshots / f"{path.stem}-{folder}-{width}-{scheme}.png")
                pictures += 1
    seen = merged(parts)
    for what, count in wanted.items():
        if seen[what] != count:
            seen["problems"].append(f"{seen[what]} {what} shown of {count} stored")
    lab.end_kernels()
    return seen, pictures


def look_at_live(browser: Browser, lab: Lab, screenshots: Path | None) -> tuple[dict, int]:
    """Three cells in the real kernel."""
    started = time.monotonic()
    browser.size(WIDTHS[0], HEIGHT)
    browser.open(lab.page("live.ipynb"))
    browser.wait(f"document.querySelectorAll('.jp-Notebook .jp-Cell').length === {len(LIVE)}")
    browser.wait("window.jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === 'idle'", 300)
    browser.run("window.jupyterapp.commands.execute('notebook:run-all-cells'), true")
    try:
        browser.wait(f"document.querySelectorAll('{OUTPUT}[data-mime-type=\"text/html\"]').length >= {len(LIVE)}", 300)
    except TimeoutError:
        pass  # what is missing is said below
    seen = look(browser, f'{OUTPUT}[data-mime-type="text/html"]')
    if (seen["displays"], seen["drawings"] + seen["images"], seen["tables"]) != (3, 1, 1):
        text = browser.run(f"[...document.querySelectorAll('{OUTPUT}')].map((e) => e.innerText.slice(0, 300))")
        seen["problems"].append(f"expected three displays, a drawing and a table; the cells show {text}")
    print(f"live: three cells in the real kernel after {time.monotonic() - started:.0f} s", flush=True)
    if screenshots:
        browser.picture(screenshots / "live.png")
    lab.end_kernels()
    return seen, int(screenshots is not None)


def look_at_page(browser: Browser, path: Path, screenshots: Path | None) -> tuple[dict, int]:
    """One page of `start.py --pages`, at three widths, light and dark; it must never scroll sideways as a whole."""
    parts, pictures = [], 0
    for width in PAGE_WIDTHS:
        for scheme in THEMES:
            browser.size(width, HEIGHT)
            browser.colours(scheme)
            if not parts:
                browser.open(path.as_uri())
                # What is folded up is looked at, too.
                browser.run("document.querySelectorAll('details').forEach((e) => e.open = true)")
            height = browser.run("document.documentElement.scrollHeight")
            if screenshots:
                browser.size(width, min(height, TALLEST))
            part = look(browser, "main > *, nav:not(:empty)") | {"view": f"{width} px {scheme}"}
            if (wide := browser.run("document.documentElement.scrollWidth")) > width:
                part["problems"].append(f"the page is {wide} px wide")
            if browser.run("document.querySelectorAll('script, link[href^=http], img[src^=http]').length"):
                part["problems"].append("has a script or needs the network")
            parts.append(part)
            if screenshots:
                browser.picture(screenshots / f"page-{path.stem}-{width}-{scheme}.png")
                pictures += 1
    return merged(parts), pictures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all of the course")
    parser.add_argument("--screenshots", type=Path, metavar="DIR", help="save pictures there")
    parser.add_argument("--pages", type=Path, metavar="DIR", help="look at the pages there, too")
    parser.add_argument("--views", default="trusted,downloaded,live", help="which of these to look at; default: all")
    options = parser.parse_args()
    notebooks = sorted(options.notebooks or (REPO / "notebooks").glob("*.ipynb"))
    views, report = options.views.split(","), Report()
    if options.screenshots:
        options.screenshots.mkdir(parents=True, exist_ok=True)
    header = ("notebook", "view", "displays", "drawings", "images", "tables", "pictures", "failures")
    print("{:40} {:22} {:>4.4} {:>4.4} {:>4.4} {:>4.4} {:>4.4} {:>4.4}".format(*header))
    with Browser() as browser:
        if set(views) & {"trusted", "downloaded", "live"}:
            with Lab(notebooks) as lab:
                if "live" in views:
                    report.add("live.ipynb", "real kernel", *look_at_live(browser, lab, options.screenshots))
                for path in notebooks:
                    for folder in ("trusted", "downloaded"):
                        if folder in views:
                            report.add(path.name, folder, *look_at_notebook(browser, lab, path, folder, options.screenshots))
        for path in sorted(options.pages.resolve().rglob("*.html")) if options.pages else []:
            report.add(str(path.relative_to(options.pages.resolve())), "page", *look_at_page(browser, path, options.screenshots))
    for failure in report.failures:
        print(failure, file=sys.stderr)
    pictures = sum(line[6] for line in report.lines)
    print(f"{len(report.lines)} looked at, {pictures} pictures, {len(report.failures)} failures")
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
