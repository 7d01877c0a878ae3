"""API keys: strangers never learn them from the disk, because only their SHA-256 is kept.

One key a line: an identifier for the log, the SHA-256 of the key in hexadecimal, and optionally a note. A `#`
begins a comment line. The file must belong to its owner alone (mode 0600).
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path

from lazai_core.api.errors import ConfigError, Problem
from lazai_core.api.service import ApiKey

KEY_BYTES_MAX = 512
_FILE_BYTES_MAX = 2**20
_LINE = re.compile(r"(?P<id>[A-Za-z0-9_.-]{1,64})[ \t]+(?P<sha>[0-9a-fA-F]{64})(?:[ \t]+(?P<note>.*))?\Z")


class ApiKeys:
    """The keys of one file, looked up by digest, so that the time taken tells nothing about a key."""

    def __init__(self, keys: Iterable[ApiKey] = ()) -> None:
        self._by_digest = {key.key_sha256: key for key in keys}

    def __len__(self) -> int:
        return len(self._by_digest)

    def find(self, presented: str) -> ApiKey | None:
        """The stored key that was presented, or None."""
        data = presented.encode("utf-8", "surrogateescape")
        if not 0 < len(data) <= KEY_BYTES_MAX:
            return None
        return self._by_digest.get(hashlib.sha256(data).hexdigest())


def load_api_keys(path: str) -> ApiKeys:
    """Read a key file; an empty path means no keys. Raises ConfigError with every problem of the file."""
    if not path:
        return ApiKeys()
    return parse_api_keys(path, _read_private_file(Path(path)))


def parse_api_keys(path: str, text: str) -> ApiKeys:
    """Read the lines of a key file; `path` is for messages only. Raises ConfigError."""
    keys: dict[str, ApiKey] = {}
    digests: set[str] = set()
    problems: list[Problem] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.match(line.strip())
        if match is None:
            problems.append(_problem(path, "expected: identifier, SHA-256 in hexadecimal, note", line=number))
            continue
        key = ApiKey(key_id=match["id"], key_sha256=match["sha"].lower(), note=match["note"] or "")
        if key.key_id in keys or key.key_sha256 in digests:
            problems.append(_problem(path, f"{key.key_id}: the identifier or the key is here twice", line=number))
        keys[key.key_id] = key
        digests.add(key.key_sha256)
    if problems:
        raise ConfigError(problems)
    return ApiKeys(keys.values())


def _problem(path: str, message: str, *, line: int = 0, hint: str = "") -> Problem:
    return Problem(file=path, line=line, key="api_keys_file" if not line else "", message=message, hint=hint)


def _read_private_file(path: Path) -> str:
    try:
        # The open descriptor is checked, not the name, so that nothing can be swapped in between.
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ConfigError([_problem(str(path), "this is not a regular file")])
            if stat.S_IMODE(status.st_mode) & 0o077:
                mode = f"{stat.S_IMODE(status.st_mode):04o}"
                raise ConfigError(
                    [_problem(str(path), f"mode {mode} lets others at it", hint=f"run: chmod 600 {path}")]
                )
            data = file.read(_FILE_BYTES_MAX + 1)
        if len(data) > _FILE_BYTES_MAX:
            raise ConfigError([_problem(str(path), f"the file is larger than {_FILE_BYTES_MAX} bytes")])
        return data.decode("utf-8")
    except OSError as cause:
        raise ConfigError(
            [_problem(str(path), f"cannot be read: {cause.strerror}", hint="make the file or drop the option")]
        ) from cause
    except UnicodeDecodeError as cause:
        raise ConfigError([_problem(str(path), "is not UTF-8 text")]) from cause
