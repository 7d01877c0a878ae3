"""Keep the CUDA build of PyTorch, which is several gigabytes, from being pulled by accident.

Usage: torch_build.py {before|after}

`before` asks pip which build it would take, without downloading it; `after` looks at what is installed.
Both exit with 1 and say what to do when it is a CUDA build, unless LAZAI_ALLOW_CUDA=1 is set.
"""

from __future__ import annotations

import importlib.util
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

_CONSTRAINTS_PATH = Path(__file__).resolve().parent.parent / "constraints.txt"

_WAY_OUT = """\
Choose one:
  - the CPU build: put its wheel into a folder and set PIP_FIND_LINKS to that folder, or set
    PIP_EXTRA_INDEX_URL to the index of CPU wheels that PyTorch's installation page names;
  - the CUDA build: set LAZAI_ALLOW_CUDA=1.
Then run the same command again."""


def version_pip_would_take() -> str:
    """Return the version of PyTorch that pip would install under the constraints."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--dry-run",
        "--quiet",
        "--no-deps",
        "--ignore-installed",
    ]
    command += ["--constraint", str(_CONSTRAINTS_PATH), "--report", "-", "torch"]
    finished = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    if finished.returncode != 0:
        sys.exit("pip finds no PyTorch that constraints.txt allows; its own message is above.")
    report = json.loads(finished.stdout)
    return str(report["install"][0]["metadata"]["version"])


def installed_cuda_version() -> str | None:
    """Return the CUDA version of the installed PyTorch, None for a CPU build; PyTorch is not imported."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        sys.exit("PyTorch is missing, though lazai-gpu-torch needs it. Run `make clean-env`, then try again.")
    cuda = runpy.run_path(str(Path(spec.origin).with_name("version.py")))["cuda"]
    return None if cuda is None else str(cuda)


def complaint(moment: str) -> str | None:
    """Return what is wrong at `moment`, None when it is well."""
    if moment == "before":
        if importlib.util.find_spec("torch") is not None or sys.platform != "linux":
            return None
        version = version_pip_would_take()
        if version.endswith("+cpu"):
            return None
        return f"pip would install torch {version}, which on Linux is the CUDA build."
    cuda = installed_cuda_version()
    return None if cuda is None else f"The installed PyTorch is a build for CUDA {cuda}."


def main() -> None:
    """Check the moment named on the command line."""
    if len(sys.argv) != 2 or sys.argv[1] not in ("before", "after"):
        sys.exit(__doc__)
    if os.environ.get("LAZAI_ALLOW_CUDA") == "1":
        return
    problem = complaint(sys.argv[1])
    if problem is not None:
        sys.exit(f"{problem}\n{_WAY_OUT}")


if __name__ == "__main__":
    main()
