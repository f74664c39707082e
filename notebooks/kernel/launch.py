"""Starts one kernel: what Jupyter runs for "Rust (freelunch)", as `launch.py EVCXR LIBRARY SESSIONS CONNECTION_FILE`.

Every kernel gets its own link to the built library and a start-up file that names it. So `cargo build` or `cargo test` beside an open
notebook does not take the library away from the cells to come, and a restarted kernel has the newest. What a kernel compiled is
removed when the next one starts: evcxr itself leaves it in the folder for temporary files, 60 MB a kernel. Standard library only.
"""

import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

FACADE = Path(__file__).resolve().parent / "facade"
LINKER = FACADE.parent / "link_cell"
# cargo may just be writing the library anew.
WAIT_S = 60
# glibc gives freed memory back at once, and every step of a training would ask for it anew: a sixth of DP-SGD's time. In bytes; also in .cargo/config.toml.
KEPT_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(128 << 20)}

# rust-analyzer, which tells evcxr the types of variables, takes a second for a kernel's first `let`. The reader has opened the notebook by then, and
# has not run a cell: so it is this one, which leaves nothing behind.
FIRST_LET = "let first = freelunch::prelude::Dataset::toy(); drop(first);"


def main() -> None:
    evcxr, library, sessions, connection = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
    forget_ended(sessions)
    session = sessions / str(os.getpid())
    session.mkdir(parents=True)
    link(library, session / library.name)
    # Not in the session's folder: rustc's relative paths from a cell to its own libraries do not hold below the user's home.
    (session / "cells").symlink_to(tempfile.mkdtemp(prefix="freelunch-"))
    (session / "evcxr.toml").write_text(start_up(session / library.name, library.parent), encoding="utf-8")
    os.environ["EVCXR_CONFIG_DIR"] = str(session)
    os.environ["FREELUNCH_WITHOUT_SYMBOLS"] = str(sessions.parent / "without_symbols" / library.name)
    for name, bytes_kept in KEPT_MEMORY.items():
        os.environ.setdefault(name, bytes_kept)
    os.execv(evcxr, [evcxr, "--control_file", connection])


def forget_ended(sessions: Path) -> None:
    """Removes the folders of kernels that are gone, and that of an earlier process with our number."""
    for folder in sessions.glob("[0-9]*"):
        if folder.name == str(os.getpid()) or not is_running(int(folder.name)):
            shutil.rmtree((folder / "cells").resolve(), ignore_errors=True)
            shutil.rmtree(folder, ignore_errors=True)


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def link(library: Path, target: Path) -> None:
    """A second name for the library's file (a copy where the file system has no links); cargo replaces files, it does not change them."""
    deadline = time.monotonic() + WAIT_S
    while not library.exists():
        if time.monotonic() > deadline:
            sys.exit(f"freelunch is not built, or does not compile just now: there is no {library}; run notebooks/start.py")
        time.sleep(0.2)
    try:
        os.link(library, target)
    except OSError:
        shutil.copy2(library, target)


def start_up(library: Path, deps: Path) -> str:
    """evcxr.toml: tells rustc where the built library and its dependencies are, and evcxr of the façade that cells depend on."""
    flags = [
        "-Cprefer-dynamic",
        f"--extern=freelunch_built={library}",
        f"-Ldependency={library.parent}",
        f"-Ldependency={deps}",
        f"-Clink-arg=-Wl,-rpath,{library.parent}",
    ]
    # An archive may have lost the permission; cells are slower then, no more.
    if os.access(LINKER, os.X_OK):
        flags += [f"-Clinker={LINKER}", "-Clinker-flavor=gcc"]
    facade = json.dumps(str(FACADE), ensure_ascii=False)
    # Unlike RUSTFLAGS, the encoded form may hold paths with spaces.
    prelude = f":build_env CARGO_ENCODED_RUSTFLAGS={chr(31).join(flags)}\n:dep freelunch = {{ path = {facade} }}\n{FIRST_LET}\n"
    settings = {"prelude": prelude, "tmpdir": str((library.parent / "cells").resolve())}
    return "[evcxr]\n" + "".join(f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in settings.items())


if __name__ == "__main__":
    main()
