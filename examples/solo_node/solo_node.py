"""Writes a new node, starts it, asks it who it is, and stops it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

LAZAI = shutil.which("lazai") or str(Path(sys.executable).with_name("lazai"))


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    """Run the example in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder, "mynode")
        subprocess.run([LAZAI, "init", str(home)], check=True)

        port = free_port()
        # Any key of the configuration can be set from the environment.
        environment = {
            **os.environ,
            "LAZAI_LOG__FORMAT": "json",
            "LAZAI_SERVICE__0__OPTIONS__LISTEN": f"127.0.0.1:{port}",
        }
        command = [LAZAI, "run", str(home / "node.toml")]
        node = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        try:
            assert node.stderr is not None
            for line in node.stderr:
                event = json.loads(line)
                sys.stdout.write(f"{event['event']}\n")
                if event["event"] == "node.ready":
                    break
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/status", timeout=10) as response:
                sys.stdout.write(json.dumps(json.load(response), indent=2) + "\n")
        finally:
            node.send_signal(signal.SIGINT)
            node.communicate(timeout=60)
        sys.stdout.write(f"the node ended with {node.returncode}\n")


if __name__ == "__main__":
    main()
