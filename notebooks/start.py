#!/usr/bin/env python3
"""Opens the notebooks of freelunch in JupyterLab, or runs them without a browser.

    python3 notebooks/start.py                                 open JupyterLab in the notebooks' folder
    python3 notebooks/start.py --folder ~/work --port 8899     elsewhere; further options after `--` go to JupyterLab
    python3 notebooks/start.py --run notebooks/*.ipynb         run notebooks; any error fails, by cell number
    python3 notebooks/start.py --run NAME.ipynb --output DIR   leave the file as it is, write the result to DIR
    python3 notebooks/start.py --run NAME.ipynb --solutions    run the hidden solutions of its exercises, too
    python3 notebooks/start.py --pages [DIR]                   HTML pages of all notebooks with the outputs they hold; runs nothing
    python3 notebooks/start.py --measure                       how fast cells are

What is missing is made first, once: a virtual environment with JupyterLab, the kernel `evcxr_jupyter`
and the library (the same build that `cargo test` uses): together they took 11 minutes on two
fast cores. Everything installed lies in
`${XDG_CACHE_HOME:-~/.cache}/freelunch`; delete that folder to undo it. Needs Python 3.10 and Rust; standard library only.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import venv
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent / "kernel"))

import std_sources  # noqa: E402
from cargo_progress import CargoFailed, run_cargo  # noqa: E402

REPO = Path(__file__).resolve().parent.parent
KERNEL = REPO / "notebooks/kernel"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "freelunch"
PAGES = Path(os.environ.get("CARGO_TARGET_DIR") or REPO / "target") / "pages"
EVCXR_VERSION = "0.22.0"
MEMORY_FOR_ALL = 7 << 30  # four compilers at a time
DYLIB = "libfreelunch.dylib" if sys.platform == "darwin" else "libfreelunch.so"


class Stop(Exception):
    """A problem that the user can solve; its text says how."""


@dataclass
class Rust:
    """The toolchain that builds library and cells."""

    cargo: str
    version: str
    sysroot: Path
    target: Path

    @property
    def deps(self) -> Path:
        return self.target / "debug/deps"


def main() -> int:
    options = read_options()
    try:
        start(options)
    except Stop as problem:
        print(f"\nstart.py: {problem}", file=sys.stderr)
    except KeyboardInterrupt:
        print("\nstopped; run the same command again to go on", file=sys.stderr)
    return 1


def start(options: argparse.Namespace) -> None:
    for notebook in options.run or []:
        if not notebook.is_file():
            raise Stop(f"there is no notebook {notebook}")
    if options.pages:
        make_pages(options.pages)
    rust = find_rust()
    announce(rust)
    python, evcxr = make(rust, options.features)
    kernels = register_kernel(rust, python, evcxr, options.register)
    if options.measure:
        arguments = ["-B", str(KERNEL / "measure.py")]
    elif options.run:
        arguments = ["-B", str(KERNEL / "run.py"), *run_arguments(options, rust)]
    else:
        arguments = lab_arguments(options)
    environment = os.environ | {"JUPYTER_PATH": join_paths(kernels, os.environ.get("JUPYTER_PATH"))}
    # That program takes our place, so that Ctrl-C reaches it alone and it can end its kernels.
    os.execve(python, [str(python), *arguments], environment)


def make_pages(folder: Path) -> None:
    """Replaces this program by the one that makes the pages: no kernel and no library are needed for that."""
    python = install_jupyter()
    notebooks = sorted(map(str, (REPO / "notebooks").glob("*.ipynb")))
    os.execv(python, [str(python), "-B", str(KERNEL / "pages.py"), "--repository", str(REPO), "--output", str(folder), *notebooks])


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", nargs="+", type=Path, metavar="NOTEBOOK", help="run these notebooks strictly, without a browser")
    parser.add_argument("--output", type=Path, metavar="DIR", help="with --run: where results go; default: the notebooks themselves")
    parser.add_argument("--timeout", type=float, default=600, metavar="SECONDS", help="with --run: the most that one cell may take")
    parser.add_argument("--pages", nargs="?", type=Path, const=PAGES, metavar="DIR", help=f"make HTML pages of all notebooks in {PAGES}")
    parser.add_argument("--solutions", action="store_true", help="with --run: run the hidden solutions of the exercises, too")
    parser.add_argument("--measure", action="store_true", help="measure the kernel's latencies against those of an empty kernel")
    parser.add_argument("--features", default="", metavar="LIST", help="features of the library: cuda, vulkan, wgpu, remote")
    parser.add_argument("--register", action="store_true", help="show the kernel to other Jupyter programs of this user as well (VS Code)")
    parser.add_argument("--folder", type=Path, help="the folder that JupyterLab shows; default: this checkout, with the first notebook open")
    parser.add_argument("--port", type=int, default=8888)
    parser.add_argument("--no-browser", action="store_true")
    parser.add_argument("lab", nargs="*", metavar="-- OPTION", help="further options for JupyterLab")
    return parser.parse_args()


# The steps. Each finds out whether it is done and prints one line.


def find_rust() -> Rust:
    """The toolchain that `rust-toolchain.toml` asks for, and the folder where cargo puts what it builds."""
    cargo = shutil.which("cargo") or shutil.which("cargo", path=str(Path.home() / ".cargo/bin"))
    if cargo is None:
        raise Stop("Rust is missing: no `cargo` on the PATH. Install it from https://rustup.rs, then run this again.")
    if sys.platform == "win32":
        raise Stop("the kernel is not made for Windows; use WSL or a Linux machine.")
    os.environ["PATH"] = join_paths(os.environ["PATH"], str(Path(cargo).parent))
    metadata = ask([cargo, "metadata", "--no-deps", "--format-version", "1"], "cargo cannot read this project")
    sysroot = ask(["rustc", "--print", "sysroot"], "the Rust compiler does not start").strip()
    version = ask(["rustc", "--version"], "the Rust compiler does not start").split()[1]
    return Rust(cargo, version, Path(sysroot), Path(json.loads(metadata)["target_directory"]))


def announce(rust: Rust) -> None:
    """Says how long the first run takes, before anything is done."""
    missing = []
    if installed_evcxr() is None:
        missing.append("the kernel")
    if not any(rust.deps.glob("libpolars-*.rlib")):
        missing.append("the library with its 350 dependencies")
    if missing:
        print(f"To build, once: {' and '.join(missing)}. Both together took 11 minutes on two fast cores.", flush=True)


def make(rust: Rust, features: str) -> tuple[Path, Path]:
    """JupyterLab, the kernel and the library; returns the first two. None needs another, and each leaves a core idle now and then, so they
    are made at the same time, where there is the memory for it."""
    with ThreadPoolExecutor(max_workers=3 if memory() >= MEMORY_FOR_ALL else 1) as workers:
        library = workers.submit(build_library, rust, features)
        python, evcxr = workers.submit(install_jupyter), workers.submit(install_evcxr, rust)
    library.result()
    return python.result(), evcxr.result()


def install_jupyter() -> Path:
    """A virtual environment with the versions of requirements.txt; returns its Python."""
    wanted = (KERNEL / "requirements.txt").read_text()
    folder = CACHE / "venv"
    python, done = folder / "bin/python", folder / "freelunch-requirements.txt"
    if done.exists() and done.read_text() == wanted and works([python, "-c", "import jupyterlab"]):
        say("JupyterLab", "already installed")
        return python
    say("JupyterLab", f"installing into {folder}, about a minute")
    try:
        # One that works is only brought up to date: another notebook may be using it.
        if not works([python, "-m", "pip", "--version"]):
            venv.create(folder, with_pip=True, clear=folder.exists())
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", KERNEL / "requirements.txt"]
        subprocess.run(pip, check=True)
    except (subprocess.CalledProcessError, OSError) as error:
        raise Stop("JupyterLab could not be installed, see above. Is there a network, and Python's `venv` (Debian: python3-venv)?") from error
    done.write_text(wanted)
    return python


def install_evcxr(rust: Rust) -> Path:
    """The pinned kernel; one on the PATH with the right version will do."""
    if (found := installed_evcxr()) is not None:
        say("kernel", f"evcxr_jupyter {EVCXR_VERSION} already installed")
        return found
    root, scratch = evcxr_root(), CACHE / "evcxr-build"
    command = [rust.cargo, "install", "evcxr_jupyter", "--version", EVCXR_VERSION, "--locked", "--root", str(root)]
    # Its own target folder: an interrupted installation goes on where it was.
    cargo(command, "kernel", {"CARGO_TARGET_DIR": str(scratch)})
    shutil.rmtree(scratch, ignore_errors=True)
    return root / "bin/evcxr_jupyter"


def build_library(rust: Rust, features: str) -> None:
    """`cargo build`: the one build that serves tests, examples and notebooks."""
    stamp = rust.target / "debug/.freelunch-checkout"
    if stamp.exists() and stamp.read_text() != str(REPO):
        # cargo gives libfreelunch.so the same name in every checkout: with a shared target folder it may be another's.
        subprocess.run([rust.cargo, "clean", "--quiet", "--package", "freelunch"], cwd=REPO, check=True)
    command = [rust.cargo, "build", *(["--features", features] if features else [])]
    cargo(command, "library", {})
    if not (rust.deps / DYLIB).exists():  # another cargo is replacing it just now: wait for that one
        cargo(command, "library", {})
    stamp.write_text(str(REPO))


def register_kernel(rust: Rust, python: Path, evcxr: Path, for_user: bool) -> Path:
    """Writes the kernel's entry for Jupyter; returns the folder to put on Jupyter's path."""
    home = kernel_home()
    spec = home / "kernels/freelunch"
    spec.mkdir(parents=True, exist_ok=True)
    (spec / "kernel.json").write_text(json.dumps(kernel_json(rust, python, evcxr, home), indent=2) + "\n")
    make_without_symbols(home / "without_symbols" / DYLIB)
    if for_user:
        user = jupyter_data() / "kernels/freelunch"
        shutil.copytree(spec, user, dirs_exist_ok=True)
        say("kernel", f"registered in {user}")
    say("kernel", 'registered as "Rust (freelunch)"')
    return home


def kernel_json(rust: Rust, python: Path, evcxr: Path, home: Path) -> dict:
    """The entry for Jupyter: launch.py with all it needs to know, and the toolchain that built the library."""
    environment = {
        "PATH": join_paths(str(rust.sysroot / "bin"), str(Path(rust.cargo).parent), "${PATH}"),
        "RUSTUP_TOOLCHAIN": str(rust.sysroot),
    }
    if not std_sources.installed(rust.sysroot):
        folder = std_sources.from_docs(rust.sysroot, CACHE / f"std-{rust.version}")
        if folder is None:
            say("kernel", "the component rust-src is missing: variables will need types. `rustup component add rust-src` adds it")
        else:
            environment["RUST_SRC_PATH"] = str(folder)
    return {
        "argv": [*map(str, [python, "-BIS", KERNEL / "launch.py", evcxr, rust.deps / DYLIB, home / "sessions"]), "{connection_file}"],
        "display_name": "Rust (freelunch)",
        "language": "rust",
        "interrupt_mode": "message",
        "env": environment,
    }


def make_without_symbols(library: Path) -> None:
    """What cells are linked against (kernel/link_cell): a library of our library's name with nothing in it. A linker that cannot make one,
    or works otherwise than that of Linux, costs each cell 0.09 s, no more."""
    if sys.platform != "linux" or library.exists():
        return
    library.parent.mkdir(parents=True, exist_ok=True)
    command = ["cc", "-shared", "-nostdlib", f"-Wl,-soname,{library.name}", "-o", library, "-x", "c", os.devnull]
    if not works(command):
        library.unlink(missing_ok=True)


def run_arguments(options: argparse.Namespace, rust: Rust) -> list[str]:
    pages = options.output or rust.target / "notebooks"
    output = ["--output", str(options.output)] if options.output else []
    solutions = ["--solutions"] if options.solutions else []
    return [*output, *solutions, "--html", str(pages), "--timeout", str(options.timeout), *map(str, options.run)]


def lab_arguments(options: argparse.Namespace) -> list[str]:
    # The whole checkout is served, so that links to docs/ work; the page that opens is the notebooks' folder.
    root, page = (options.folder.resolve(), "/lab") if options.folder else (REPO, "/lab/tree/notebooks/00_start_here.ipynb")
    arguments = ["-m", "jupyterlab", f"--ServerApp.root_dir={root}", f"--LabApp.default_url={page}", f"--port={options.port}", "-y"]
    arguments += ["--no-browser"] if options.no_browser else []
    arguments += ["--allow-root"] if os.geteuid() == 0 else []
    say("JupyterLab", "starting; Ctrl-C ends it")
    return arguments + options.lab


# Small tools.


def kernel_home() -> Path:
    """What goes on Jupyter's path. One folder per checkout: two checkouts do not take each other's kernel."""
    return CACHE / "kernels" / hashlib.sha256(str(REPO).encode()).hexdigest()[:12]


def evcxr_root() -> Path:
    return CACHE / f"evcxr-{EVCXR_VERSION}"


def installed_evcxr() -> Path | None:
    """An evcxr_jupyter of the pinned version: ours, or one on the PATH."""
    for candidate in [evcxr_root() / "bin/evcxr_jupyter", Path(shutil.which("evcxr_jupyter") or "")]:
        # The program cannot tell its version; cargo's record of the installation can.
        record = candidate.parent.parent / ".crates.toml"
        if candidate.is_file() and record.is_file() and f'"evcxr_jupyter {EVCXR_VERSION} ' in record.read_text():
            return candidate
    return None


def cargo(command: list[str], what: str, extra: dict[str, str]) -> None:
    # RUSTFLAGS of the user's would override the project's own and give a library that cells cannot load.
    unwanted = ("RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS")
    environment = {name: value for name, value in os.environ.items() if name not in unwanted} | extra
    try:
        run_cargo(command, what, REPO, environment)
    except CargoFailed as error:
        raise Stop(str(error)) from error


def ask(command: list[str], problem: str) -> str:
    result = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise Stop(f"{problem}: `{' '.join(command)}` says\n{result.stderr.strip()}")
    return result.stdout


def works(command: list) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def memory() -> float:
    """Bytes of memory of this machine, as far as it tells."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 0


def jupyter_data() -> Path:
    """Where Jupyter keeps this user's kernels."""
    if folder := os.environ.get("JUPYTER_DATA_DIR"):
        return Path(folder)
    if sys.platform == "darwin":
        return Path.home() / "Library/Jupyter"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "jupyter"


def join_paths(*paths: str | Path | None) -> str:
    return os.pathsep.join(str(path) for path in paths if path)


def say(what: str, text: str) -> None:
    print(f"{what}: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
