"""Makes HTML pages of the notebooks, with the outputs that are stored in them; nothing is run.

`start.py --pages` calls this inside its virtual environment. The pages need no network, no script and no server: open `index.html`.
Formulas become MathML, links between notebooks and documents become links between pages, and a link that leads nowhere is an error.
"""

import argparse
import html
import os
import re
import shutil
import string
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
from latex2mathml.converter import convert
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

STYLE = Path(__file__).with_name("pages.css")
SHELL = string.Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<link rel="stylesheet" href="${root}pages.css">
</head>
<body>
<nav aria-label="Pages">$links</nav>
<main>
$body
</main>
<nav aria-label="Pages, again">$links</nav>
</body>
</html>
""")
BIG = re.compile(r"\\[Bb]igg?[lr]?\s*(\\[lr][vV]ert|[()\[\]])")
OPENING = {"(", "[", r"\lVert", r"\lvert"}
LINK = re.compile(r'(<(?:a|img)\b[^>]*?\b(?:href|src)=")([^"]*)(")')
HEADING = re.compile(r"<(h[1-6])>(.*?)</\1>", re.DOTALL)
TABLE = re.compile(r"(<table>.*?</table>)", re.DOTALL)
RUN_TIME = re.compile(r"^\*\*Run time\*\*: (.+?)(?: \*\*|\n\s*\n|\Z)", re.DOTALL | re.MULTILINE)
QUESTION = re.compile(r"^\*\*The question[^*]*\*\* (.+?)(?:\n\s*\n|\Z)", re.DOTALL | re.MULTILINE)
NAME = re.compile(r'\b(?:id|name)="([^"]+)"')
INNER = re.compile(r'<a\b[^>]*?\bhref="([^":]*)#([^"]+)"')


class Text(IPythonRenderer):
    """Markdown as in notebooks, with formulas as MathML."""

    def __init__(self, problems: list[str]):
        super().__init__(escape=False, exclude_anchor_links=True)
        self.problems = problems

    def block_math(self, body: str) -> str:
        return f'<span class="formula">{self.formula(body, "block")}</span>'

    def inline_math(self, body: str) -> str:
        return self.formula(body, "inline")

    def formula(self, tex: str, display: str) -> str:
        """MathML; a formula that would come out with a command in it stays TeX and is reported."""
        # Browsers do not enlarge a bracket that has been given a size and carries an exponent; one that fits its content they do.
        fitting = BIG.sub(lambda match: (r"\left" if match[1] in OPENING else r"\right") + match[1], tex)
        balanced = fitting.count(r"\left") == fitting.count(r"\right")
        result = convert(fitting if balanced else tex, display=display)
        unknown = re.search(r">\s*(\\[a-zA-Z]+)\s*<", result)
        if unknown is None:
            return result
        self.problems.append(f"latex2mathml does not know {unknown[1]} in the formula {tex}")
        return f"<code>{html.escape(tex)}</code>"


def markdown(source: str, problems: list[str]) -> str:
    """HTML of Markdown text, its headings with names to link to, its tables in boxes that scroll."""
    taken: set[str] = set()

    def named(match: re.Match) -> str:
        words = re.sub(r"<[^>]*>", "", html.unescape(match[2])).lower()
        name = re.sub(r"[^\w\- ]", "", words).strip().replace(" ", "-")
        while name in taken:
            name += "-1"
        taken.add(name)
        return f'<{match[1]} id="{html.escape(name)}">{match[2]}</{match[1]}>'

    page = MarkdownWithMath(renderer=Text(problems)).render(source)
    return TABLE.sub(r'<div class="wide" tabindex="0">\1</div>', HEADING.sub(named, page))


class Site:
    """The pages to write: which file becomes which page."""

    def __init__(self, notebooks: list[Path], repository: Path, target: Path):
        self.notebooks = sorted((path.resolve() for path in notebooks), key=lambda path: path.name)
        self.repository, self.target = repository.resolve(), target.resolve()
        self.documents = sorted(path for folder in ("docs", "docs/results") for path in (self.repository / folder).glob("*.md"))
        self.pages = {path: Path(path.stem + ".html") for path in self.notebooks}
        self.pages |= {path: path.relative_to(self.repository).with_suffix(".html") for path in self.documents}
        self.titles: dict[Path, str] = {}
        self.problems: list[str] = []
        self.exporter = HTMLExporter(template_name="basic", exclude_input_prompt=True, exclude_output_prompt=True)
        self.exporter.register_filter("markdown2html", self.markdown)

    def write(self) -> None:
        self.target.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(STYLE, self.target / STYLE.name)
        read = {path: nbformat.read(path, as_version=4) for path in self.notebooks}
        texts = {path: path.read_text(encoding="utf-8") for path in self.documents}
        firsts = {path: first_text(notebook) for path, notebook in read.items()} | texts
        self.titles = {path: title_of(text, path.stem) for path, text in firsts.items()}
        for path, notebook in read.items():
            self.page(path, self.exporter.from_notebook_node(notebook)[0])
        for path, text in texts.items():
            self.page(path, self.markdown(text))
        self.index(firsts)
        self.check_names()

    def check_names(self) -> None:
        """Reports links into a page, to a heading that is not there."""
        texts = {page: (self.target / page).read_text(encoding="utf-8") for page in self.pages.values()}
        names = {page: set(NAME.findall(text)) for page, text in texts.items()}
        for page, text in texts.items():
            for target, name in INNER.findall(text):
                other = Path(os.path.normpath(page.parent / target)) if target else page
                if other in names and html.unescape(name) not in names[other]:
                    self.problems.append(f"{page}: there is no heading #{name} on {other}")

    def markdown(self, source: str) -> str:
        return markdown(source, self.problems)

    def page(self, source: Path, body: str) -> None:
        """Writes one page, its links mended."""
        page = self.pages[source]
        body = self.with_links(body, source)
        links = [self.link(Path("index.html"), "All pages", page)]
        if source in self.notebooks:
            position = self.notebooks.index(source)
            before = self.notebooks[position - 1] if position > 0 else None
            after = self.notebooks[position + 1] if position + 1 < len(self.notebooks) else None
            links += [self.link(self.pages[before], f"← {self.titles[before]}", page)] if before else []
            links += [self.link(self.pages[after], f"{self.titles[after]} →", page)] if after else []
        self.save(page, self.titles[source], " ".join(links), body)

    def with_links(self, body: str, source: Path) -> str:
        return LINK.sub(lambda match: match[1] + self.mended(match[2], source) + match[3], body)

    def mended(self, target: str, source: Path) -> str:
        """A link as it must read on the page of `source`; what it leads to is copied unless it is a page itself."""
        parts = urlsplit(html.unescape(target))
        if parts.scheme or parts.netloc or not parts.path:
            return target
        file = (source.parent / unquote(parts.path)).resolve()
        fragment = f"#{parts.fragment}" if parts.fragment else ""
        if file in self.pages:
            return relative(self.pages[file], self.pages[source]) + fragment
        if not file.exists() or not file.is_relative_to(self.repository):
            self.problems.append(f"{source.name}: the link to {target} leads nowhere")
            return target
        copy = Path("files") / file.relative_to(self.repository)
        (self.target / copy).parent.mkdir(parents=True, exist_ok=True)
        if file.is_dir():
            shutil.copytree(file, self.target / copy, dirs_exist_ok=True)
        else:
            shutil.copyfile(file, self.target / copy)
        return relative(copy, self.pages[source]) + ("/" if file.is_dir() else "")

    def index(self, firsts: dict[Path, str]) -> None:
        """The list of all pages."""
        here = Path("index.html")
        items = [self.entry(path, firsts[path]) for path in self.notebooks]
        documents = [f"<li>{self.link(self.pages[path], self.titles[path], here)}</li>" for path in self.documents]
        body = "<h1>freelunch: the notebooks</h1>\n"
        body += "<p>With the results that are stored in them. To run them, see the project's README.</p>\n"
        body += '<ol class="course">\n' + "\n".join(items) + "\n</ol>\n"
        body += "<h2>Documents</h2>\n<ul>\n" + "\n".join(documents) + "\n</ul>"
        self.save(here, "freelunch: the notebooks", "", body)

    def entry(self, path: Path, first: str) -> str:
        """A notebook in the list: its title, how long it runs, what it asks."""
        time, asks = RUN_TIME.search(first), QUESTION.search(first)
        time = f'<p class="time">{self.markdown(time[1][0].upper() + time[1][1:]).strip()[3:-4]}</p>' if time else ""
        asks = self.with_links(self.markdown(question_of(asks[1])), path) if asks else ""
        number = re.match(r"\d+", path.stem)
        value = f' value="{int(number[0])}"' if number else ""
        return f"<li{value}>{self.link(self.pages[path], self.titles[path], Path('index.html'))}{time}{asks}</li>"

    def link(self, page: Path, text: str, origin: Path) -> str:
        return f'<a href="{relative(page, origin)}">{html.escape(text)}</a>'

    def save(self, page: Path, title: str, links: str, body: str) -> None:
        file = self.target / page
        file.parent.mkdir(parents=True, exist_ok=True)
        root = "../" * (len(page.parts) - 1)
        file.write_text(SHELL.substitute(title=html.escape(title), root=root, links=links, body=body), encoding="utf-8")


def relative(page: Path, origin: Path) -> str:
    """The link from one page to another."""
    return html.escape(os.path.relpath(page, origin.parent).replace(os.sep, "/"))


def first_text(notebook) -> str:
    return next((cell.source for cell in notebook.cells if cell.cell_type == "markdown"), "")


def title_of(text: str, otherwise: str) -> str:
    title = re.search(r"^# (.+)$", text, re.MULTILINE)
    return title[1].replace("`", "") if title else otherwise


def question_of(text: str) -> str:
    """The paragraph up to its first question, or all of it."""
    line = " ".join(text.split())
    question = re.match(r".*?\?[\"”*]*(?= |$)", line)
    return question[0] if question else line


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="+", type=Path)
    parser.add_argument("--repository", type=Path, required=True, help="the folder that has docs/")
    parser.add_argument("--output", type=Path, required=True, help="folder for the pages")
    options = parser.parse_args()
    site = Site(options.notebooks, options.repository, options.output)
    site.write()
    for problem in site.problems:
        print(problem, file=sys.stderr)
    print(f"{len(site.pages) + 1} pages; open {site.target / 'index.html'}")
    return 1 if site.problems else 0


if __name__ == "__main__":
    sys.exit(main())
