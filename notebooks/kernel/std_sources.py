"""Sources of Rust's standard library for the kernel, which needs them to tell the type of a variable.

They come with rustup's `rust-src` component. Where that is missing (an offline machine, say), the pages of the `rust-docs` component
hold the same files as HTML; `from_docs` turns them back into text. Standard library only.
"""

import html
import re
import shutil
from pathlib import Path

CODE = re.compile(r'<pre class="rust"><code>(.*)</code></pre>', re.DOTALL)
LINE_NUMBER = re.compile(r"<a href=#\d+ id=\d+ data-nosnippet>\d+</a>")
TAG = re.compile(r"<[^>]*>")
ORIGIN = re.compile(r"Source of the Rust file `library/([^`]+)`")


def installed(sysroot: Path) -> Path | None:
    """The folder of the `rust-src` component, if it is there."""
    folder = sysroot / "lib/rustlib/src/rust/library"
    return folder if (folder / "core").is_dir() else None


def from_docs(sysroot: Path, target: Path) -> Path | None:
    """Writes the sources found in the `rust-docs` component to `target`; None when there are none."""
    pages = sysroot / "share/doc/rust/html/src"
    if not (pages / "core/lib.rs.html").is_file():
        return None
    if (target / "complete").is_file():
        return target
    shutil.rmtree(target, ignore_errors=True)
    for page in pages.rglob("*.rs.html"):
        write_source(page.read_text(encoding="utf-8"), target)
    (target / "complete").touch()
    return target


def write_source(page: str, target: Path) -> None:
    """Writes the file that one page shows, if it belongs to the library."""
    origin, code = ORIGIN.search(page), CODE.search(page)
    if not origin or not code or ".." in origin[1]:
        return
    text = html.unescape(TAG.sub("", LINE_NUMBER.sub("", code[1])))
    file = target / origin[1]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text + "\n", encoding="utf-8")
