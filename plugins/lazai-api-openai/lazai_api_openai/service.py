"""The service as the node sees it: built from options and the gateway, run until cancelled."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lazai_core.api.service import Gateway, Service

from .api_keys import ApiKeys, load_api_keys
from .options import ApiOptions

if TYPE_CHECKING:
    from .frame import Frame


class ApiService:
    """Serves the API. `bound_port` is 0 until `run` has called `ready`."""

    name = "openai"

    def __init__(self, options: ApiOptions, gateway: Gateway, keys: ApiKeys) -> None:
        self.bound_host = ""
        self.bound_port = 0
        self._options = options
        self._gateway = gateway
        self._keys = keys

    def app(self) -> Frame:
        """The ASGI application by itself, for another server than the built-in one."""
        from .app import build_app

        return build_app(self._options, self._gateway, self._keys)

    async def run(self, ready: Callable[[], None]) -> None:
        """Serve until cancelled, then let open requests end within `stop_timeout_ms`.

        Raises ConfigError when the address cannot be bound.
        """
        from .server import bind, serve

        listener = bind(self._options.listen)
        self.bound_host, self.bound_port = listener.getsockname()[:2]
        await serve(self.app(), listener, self._options, ready)


def build_api(options: ApiOptions, gateway: Gateway) -> Service:
    """Build the service. Raises ConfigError for an API key file that is absent, open to others or malformed."""
    return ApiService(options, gateway, load_api_keys(options.api_keys_file))
