"""Golden files: answers that must not change unnoticed. `pytest --regenerate-golden` writes them anew, on purpose."""

from __future__ import annotations

import json
from difflib import unified_diff
from pathlib import Path

DIFF_LINES_MAX = 60


class GoldenFolder:
    """Files of expected answers in one folder. `regenerate` writes what a test gives instead of comparing."""

    def __init__(self, folder: Path, *, regenerate: bool = False) -> None:
        self.folder = folder
        self.regenerate = regenerate

    def load_json(self, name: str) -> object:
        """The content of a vector file, for tests that only read it. Raises AssertionError where there is none."""
        return json.loads(self._expected(name).decode("utf-8"))

    def check_json(self, name: str, value: object) -> None:
        """Compare a JSON value: sorted keys, two spaces of indentation, a final newline."""
        self.check_text(name, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")

    def check_text(self, name: str, text: str) -> None:
        """Compare a text. Raises AssertionError with a difference line by line."""
        if self._wrote(name, text.encode("utf-8")):
            return
        expected = self._expected(name).decode("utf-8")
        if text != expected:
            lines = list(
                unified_diff(expected.splitlines(), text.splitlines(), f"{name}, expected", f"{name}, now", lineterm="")
            )
            raise AssertionError("\n".join([*lines[:DIFF_LINES_MAX], self._advice(name)]))

    def check_bytes(self, name: str, data: bytes) -> None:
        """Compare bytes. Raises AssertionError naming the first that differs."""
        if self._wrote(name, data):
            return
        expected = self._expected(name)
        if data != expected:
            shared = min(len(data), len(expected))
            first = next((i for i in range(shared) if data[i] != expected[i]), shared)
            sizes = f"{len(expected)} bytes were expected, there are {len(data)}"
            raise AssertionError(f"{name}: differs from byte {first} on; {sizes}\n{self._advice(name)}")

    def _wrote(self, name: str, data: bytes) -> bool:
        if not self.regenerate:
            return False
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return True

    def _expected(self, name: str) -> bytes:
        path = self.folder / name
        if not path.exists():
            raise AssertionError(f"there is no golden file {path}; write it with pytest --regenerate-golden")
        return path.read_bytes()

    def _advice(self, name: str) -> str:
        return f"{name}: where the change is wanted, run pytest --regenerate-golden and review the difference"
