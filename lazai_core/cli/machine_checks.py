"""What `lazai doctor` looks at on any machine: Python, packages, processor, memory, disk, limits, clock."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from .findings import Finding, failure, fine, warning
from .output import bytes_text, plural
from .requirements import misfits, prereleases

PYTHON_TESTED = ((3, 11), (3, 13))
ALLOWED_PRERELEASES = frozenset({"py-evm"})
GIB = 1 << 30
MEMORY_BYTES_MIN = 2 * GIB
DISK_BYTES_MIN = 1 * GIB
DISK_BYTES_WANTED = 10 * GIB
OPEN_FILES_MIN = 1024
RELEASED_SECONDS = 1_767_225_600
"""2026-01-01 UTC: no clock that is right shows an earlier time."""
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
_CGROUP = Path("/sys/fs/cgroup")
_CPU_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512ifma", "amx_int8")


def machine_findings(plugin_distributions: Iterable[str], folder: Path) -> Iterator[Finding]:
    """Everything about this machine; `folder` is where the node keeps its data."""
    yield check_python()
    yield from check_packages(["lazai-core", *plugin_distributions])
    yield from check_threads()
    yield check_processor()
    yield check_memory()
    yield check_disk(folder)
    yield check_open_files()
    yield check_clock()


def check_python() -> Finding:
    """The version of Python against the tested ones."""
    found, (oldest, newest) = sys.version_info[:2], PYTHON_TESTED
    text = platform.python_version()
    if oldest <= found <= newest:
        return fine("python", text)
    span = f"{oldest[0]}.{oldest[1]} to {newest[0]}.{newest[1]}"
    return warning("python", f"{text} was not tested", f"use Python {span}")


def check_packages(names: Iterable[str]) -> Iterator[Finding]:
    """Installed packages against the tested ranges, and pre-releases nobody asked for."""
    checked = sorted(set(names))
    found = [misfit for name in checked for misfit in misfits(name)]
    for misfit in found:
        there = f"{misfit.package} {misfit.installed}" if misfit.installed else f"{misfit.package} is not installed"
        yield failure(
            "packages",
            f"{there}; {misfit.needed_by} was tested with {misfit.wanted}",
            f'python -m pip install "{misfit.package}{misfit.wanted}"',
        )
    if not found:
        yield fine("packages", f"{', '.join(checked)}: every requirement is within its tested range")
    unasked = [f"{name} {text}" for name, text in prereleases() if name.lower() not in ALLOWED_PRERELEASES]
    if unasked:
        yield warning("packages", f"pre-releases: {', '.join(unasked)}", "install final releases instead")


def check_threads() -> Iterator[Finding]:
    """Cores this process may use, and threads that variables ask for."""
    usable = usable_cores()
    yield fine("processor", f"{plural(usable, 'usable core')} of {os.cpu_count() or usable}")
    for name in _THREAD_VARIABLES:
        text = os.environ.get(name, "")
        if text.isdigit() and int(text) > usable:
            yield warning(
                "processor",
                f"{name} asks for {text} threads, {usable} cores are usable: slower than fewer threads",
                f"set {name}={usable}",
            )


def usable_cores() -> int:
    """Cores that the affinity mask and the control group leave to this process."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cgroup_words("cpu.max")
    if len(quota) == 2 and quota[0].isdigit() and quota[1].isdigit() and int(quota[1]):
        count = min(count, -(-int(quota[0]) // int(quota[1])))
    return max(count, 1)


def check_processor() -> Finding:
    """Vector instructions, on which the speed of exact kernels depends."""
    machine = platform.machine()
    flags = _cpu_flags()
    if not flags:
        return fine("processor", f"{machine}; its vector instructions are not known here")
    there = [flag for flag in _CPU_FLAGS if flag in flags]
    if machine in ("x86_64", "AMD64") and "avx2" not in flags:
        return warning("processor", f"{machine} without avx2: exact kernels are several times slower")
    return fine("processor", f"{machine} with {', '.join(there) or 'its standard vector instructions'}")


def check_memory() -> Finding:
    """Memory that is free for the node, the control group's limit included."""
    import psutil

    available = int(psutil.virtual_memory().available)
    limit = _cgroup_words("memory.max")
    if limit and limit[0].isdigit():
        used = _cgroup_words("memory.current")
        available = min(available, int(limit[0]) - int(used[0] if used and used[0].isdigit() else 0))
    text = f"{bytes_text(max(available, 0))} available"
    if available < MEMORY_BYTES_MIN:
        return warning("memory", text, f"give the node at least {bytes_text(MEMORY_BYTES_MIN)}")
    return fine("memory", text)


def check_disk(folder: Path) -> Finding:
    """Free space where the node keeps its data."""
    existing = next(path for path in (folder, *folder.resolve().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    text = f"{bytes_text(free)} free at {existing}"
    if free < DISK_BYTES_MIN:
        return failure("disk", text, "make room, or set node.data_dir to another disk")
    if free < DISK_BYTES_WANTED:
        return warning("disk", text, f"a node that runs for long wants {bytes_text(DISK_BYTES_WANTED)}")
    return fine("disk", text)


def check_open_files() -> Finding:
    """How many files and connections this process may have open."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < OPEN_FILES_MIN:
        return warning("open files", f"at most {soft}", f"ulimit -n {max(OPEN_FILES_MIN, min(hard, 65536))}")
    return fine("open files", "no limit" if soft == resource.RLIM_INFINITY else f"at most {soft}")


def check_clock() -> Finding:
    """Whether the clock can be right."""
    now = time.time()
    text = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    if now < RELEASED_SECONDS:
        return failure("clock", f"{text} is before this software was made", "set the clock, and keep it with NTP")
    return fine("clock", text)


def _cgroup_words(name: str) -> list[str]:
    try:
        return (_CGROUP / name).read_text(encoding="ascii").split()
    except OSError:
        return []


def _cpu_flags() -> frozenset[str]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return frozenset()
    for line in text.splitlines():
        if line.startswith(("flags", "Features")):
            return frozenset(line.partition(":")[2].split())
    return frozenset()
