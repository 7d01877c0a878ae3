"""Whether the addresses that services listen on are free, and who holds those that are not."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

from lazai_core.api.errors import PluginError
from lazai_core.api.service import Severity
from lazai_core.config import Chosen
from lazai_core.registry import Kind

from .findings import Finding, failure, fine, warning
from .selection import Selection

LISTEN_OPTION = "listen"


def port_findings(selection: Selection) -> Iterator[Finding]:
    """One finding for every service that has an option `listen`, and one for the network."""
    network = selection.loaded.config.network
    if network is not None and network.listen:
        found = check_address("network", network.listen)
        # Unlike an API it is made for everybody: nobody is heard who has not proven a key.
        yield fine(found.check, f"{network.listen} is free") if found.severity is Severity.WARNING else found
    for choice in selection.loaded.config.choices():
        if choice.kind == Kind.SERVICE:
            address = _listen_address(selection, choice)
            if address:
                yield check_address(choice.name, address)


def _listen_address(selection: Selection, choice: Chosen) -> str:
    try:
        offer = selection.catalog.find(Kind.SERVICE, choice.name)
    except PluginError:
        return ""
    options = selection.loaded.structure_options(offer.entry.options, choice, [])
    return str(getattr(options, LISTEN_OPTION, ""))


def check_address(service: str, address: str) -> Finding:
    """Whether `host:port` can be listened on now."""
    check = f"port {service}"
    host, _, port_text = address.rpartition(":")
    if not port_text.isdigit() or int(port_text) > 65535:
        return failure(check, f"{address!r} is no address", 'write listen = "127.0.0.1:8000"')
    port, host = int(port_text), host.strip("[]")
    if port == 0:
        return fine(check, f"{address}: any free port")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, UnicodeError) as error:
            return _refused(check, address, port, error)
    if host in ("0.0.0.0", "::", ""):
        return warning(check, f"{address} is free, and open to everybody", "put a proxy with TLS before it")
    return fine(check, f"{address} is free")


def _refused(check: str, address: str, port: int, error: Exception) -> Finding:
    if getattr(error, "errno", None) == errno.EADDRINUSE:
        return failure(check, f"{address} is held by {holder_of(port)}", "stop it, or set listen to another port")
    reason = getattr(error, "strerror", None) or str(error)
    return failure(check, f"{address}: {reason}", "set listen to an address of this machine")


def holder_of(port: int) -> str:
    """Process that listens on a TCP port, as far as this user may know."""
    import psutil

    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.Error:
        return "another process"
    for connection in connections:
        if connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN:
            return _process_text(connection.pid)
    return "another process"


def _process_text(pid: int | None) -> str:
    import psutil

    if pid is None:
        return "another user's process"
    try:
        return f"pid {pid} ({psutil.Process(pid).name()})"
    except psutil.Error:
        return f"pid {pid}"
