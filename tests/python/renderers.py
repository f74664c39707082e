"""Checks the outputs stored in the notebooks for readers that are not JupyterLab: GitHub, VS Code, nbconvert.

    ~/.cache/freelunch/venv/bin/python tests/python/renderers.py [NOTEBOOK ...]

* Every display is one bundle of HTML, PNG and text. VS Code and nbconvert choose HTML, as JupyterLab does; terminals show the text.
* The HTML needs no script, no style sheet and no network.
* GitHub cleans HTML before it shows it. Its rules for notebooks are not published; known from reports is that `script`, `style` and
  `style="..."` go. Its published rules for Markdown also drop inline SVG, as JupyterLab does in a notebook that is not trusted. Here all
  of these are taken away, and what is left must hold the same tables, images and drawings.
* nbconvert's page holds every display unchanged.
"""

import argparse
import base64
import struct
import sys
from html.parser import HTMLParser
from pathlib import Path

sys.dont_write_bytecode = True
REPO = Path(__file__).resolve().parents[2]

import nbformat  # noqa: E402
from bs4 import BeautifulSoup  # noqa: E402
from nbconvert import HTMLExporter  # noqa: E402

FORBIDDEN = {"script", "style", "link", "iframe", "object", "embed", "form", "foreignobject"}
VOID = {"img", "br", "hr", "wbr", "input", "source"}
# The order in which VS Code (`NOTEBOOK_DISPLAY_ORDER`) and nbconvert (`display_data_priority`) look for something to show, shortened.
VS_CODE = ("application/json", "application/javascript", "text/html", "image/svg+xml", "text/latex", "text/markdown", "image/png")


class Cleaned(HTMLParser):
    """Reads HTML and notes what a cleaning renderer keeps and loses."""

    def __init__(self, source: str):
        super().__init__()
        self.problems: list[str] = []
        self.tables = self.images = self.drawings = self.words_in_drawings = 0
        self.text: list[str] = []
        self.inside: list[str] = []
        self.feed(source)
        self.close()
        if self.inside:
            self.problems.append(f"unclosed: {self.inside}")

    def handle_starttag(self, tag: str, attributes: list) -> None:
        if tag in FORBIDDEN:
            self.problems.append(f"has <{tag}>")
        for name, value in attributes:
            if name.startswith("on"):
                self.problems.append(f"has the script {name}")
            if name in ("src", "href") and not (value or "").startswith(("data:image/", "#")):
                self.problems.append(f"needs the network: {value}")
        self.tables += tag == "table"
        if tag == "svg" and "svg" not in self.inside:
            self.drawings += 1
            if not any(name == "aria-label" and value for name, value in attributes):
                self.problems.append("a drawing without a description")
        if tag == "img":
            self.images += 1
            if not any(name == "alt" and value for name, value in attributes):
                self.problems.append("an image without a description")
        if tag not in VOID:
            self.inside.append(tag)

    def handle_startendtag(self, tag: str, attributes: list) -> None:
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.inside.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        if not self.inside or self.inside.pop() != tag:
            self.problems.append(f"</{tag}> closes something else")

    def handle_data(self, data: str) -> None:
        if "svg" in self.inside:
            self.words_in_drawings += bool(data.strip())
        elif data.strip():
            self.text.append(data.strip())


def size_of_png(data: str) -> tuple[int, int]:
    raw = base64.b64decode(data)
    return struct.unpack(">II", raw[16:24]) if raw[:8] == b"\x89PNG\r\n\x1a\n" else (0, 0)


def check(path: Path, exporter: HTMLExporter) -> tuple[dict, list[str]]:
    """What one notebook holds, and its problems."""
    notebook, problems = nbformat.read(path, as_version=4), []
    counts = {"displays": 0, "tables": 0, "images": 0, "drawings": 0, "text only": 0, "lost": 0}
    page, _ = exporter.from_notebook_node(notebook)
    for number, cell in enumerate((cell for cell in notebook.cells if cell.cell_type == "code"), start=1):
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            where = f"{path.name}, code cell {number}: "
            if not data:
                continue
            if not data.get("text/plain", "").strip():
                problems.append(f"{where}no text for a terminal")
            if "text/html" not in data:
                counts["text only"] += 1
                continue
            counts["displays"] += 1
            if next(kind for kind in VS_CODE if kind in data) != "text/html":
                problems.append(f"{where}VS Code shows something else than HTML")
            if min(size_of_png(data.get("image/png", "")), default=0) < 2:
                problems.append(f"{where}no PNG beside the HTML")
            seen = Cleaned(data["text/html"])
            problems += [f"{where}{problem}" for problem in seen.problems]
            counts["tables"] += seen.tables
            counts["images"] += seen.images
            counts["drawings"] += seen.drawings
            if seen.drawings:
                counts["lost"] += seen.drawings
                left = f"{seen.words_in_drawings} of their words stay as loose text"
                problems.append(f"{where}{seen.drawings} inline drawings are lost where HTML is cleaned; {left}")
            if not (seen.text or seen.images or seen.drawings):
                problems.append(f"{where}an empty display")
            # nbconvert writes the page anew from its elements, so quotes and the like may be spelt in another way.
            if str(BeautifulSoup(data["text/html"], "html.parser")) not in page:
                problems.append(f"{where}nbconvert changes it")
    return counts, problems


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all of the course")
    options = parser.parse_args()
    exporter, failures = HTMLExporter(), []
    columns = ("displays", "tables", "images", "drawings", "text only", "lost", "KiB")
    print(f"{'notebook':40}", *(f"{column:>9}" for column in columns))
    for path in sorted(options.notebooks or (REPO / "notebooks").glob("*.ipynb")):
        counts, problems = check(path, exporter)
        failures += problems
        print(f"{path.name:40}", *(f"{count:9}" for count in [*counts.values(), path.stat().st_size // 1024]), flush=True)
    for failure in failures:
        print(failure, file=sys.stderr)
    print(f"{len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
