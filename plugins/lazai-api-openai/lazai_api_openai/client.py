"""Pays for requests of the stock `openai` client with a wallet: `DefaultHttpxClient(auth=WalletAuth(key))`.

    from openai import DefaultHttpxClient, OpenAI
    from lazai_api_openai.client import WalletAuth

    auth = WalletAuth(private_key, max_cost=10**16)
    client = OpenAI(base_url="http://127.0.0.1:8000/v1", api_key="-", http_client=DefaultHttpxClient(auth=auth))
    print(client.embeddings.create(model="minilm", input="hello").model_extra["lazai"])

Needs the extra `client` of this package (httpx2). It works with any httpx2 client, also asynchronous ones.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from typing import Any, TypeAlias

import httpx2
from attrs import frozen

from lazai_core.api.authorization import Authorization
from lazai_core.api.hashing import address_of_private_key, keccak256
from lazai_core.api.types import Address, DatId, Hash32, ModelId, Wei, address_from_hex, hash_from_hex, to_hex

from .authorization_header import HEADER, encode_authorization

_RETRIED_BY_CLIENT = frozenset({408, 409, 429})
_PATH_EMBEDDINGS = "/v1/embeddings"
_PATH_MODELS = "/v2/models/"
_PATH_QUOTE = "/v1/lazai/quote"


_Steps: TypeAlias = Generator[tuple[httpx2.Request, bool], tuple[httpx2.Response, bytes], None]


class WrongNode(ValueError):
    """The node names a chain, a settlement contract, an address or a model other than the pinned one."""


@frozen(kw_only=True)
class _Target:
    """A request that has to be paid: where its price is asked, and for which body."""

    quote_url: httpx2.URL
    key: tuple[str, Hash32]
    body: bytes


@frozen(kw_only=True)
class _Open:
    """An authorisation whose request may come again."""

    header: str
    lane: int
    expiry: int


class _Lanes:
    """Lanes of nonces. Each has at most one request under way, so the node's next counter is always right."""

    def __init__(self, first: int) -> None:
        self._first = first
        self._lock = threading.Lock()
        self._busy: set[int] = set()
        self._open: dict[tuple[str, Hash32], list[_Open]] = {}

    def take(self, now: int) -> int:
        """The lowest free lane. Lanes of requests that can no longer be repeated are free again."""
        with self._lock:
            for key, waiting in list(self._open.items()):
                self._busy -= {item.lane for item in waiting if item.expiry <= now}
                self._open[key] = [item for item in waiting if item.expiry > now]
                if not self._open[key]:
                    del self._open[key]
            lane = self._first
            while lane in self._busy:
                lane += 1
            self._busy.add(lane)
            return lane

    def give(self, lane: int) -> None:
        with self._lock:
            self._busy.discard(lane)

    def keep_open(self, key: tuple[str, Hash32], item: _Open) -> None:
        """Remember a request that the client is about to repeat."""
        with self._lock:
            self._open.setdefault(key, []).append(item)

    def reopen(self, key: tuple[str, Hash32], now: int) -> _Open | None:
        """The authorisation of the request that comes again, unless it has expired."""
        with self._lock:
            waiting = self._open.get(key, [])
            for index, item in enumerate(waiting):
                if item.expiry > now:
                    return waiting.pop(index)
            return None


class WalletAuth(httpx2.Auth):
    """Signs the final bytes of every paid request; everything else passes unchanged.

    `max_cost` is the most that one request may cost, in wei; what is signed is the node's quote times
    `quote_factor` (a ratio of integers), and never more than `max_cost`. Without `max_cost` the quote alone
    decides: do that only with a node you trust. `chain_id`, `settlement`, `node` and `models` (name to digest)
    pin what the node may say; WrongNode is raised otherwise. `lane` is the first lane of nonces used: give
    processes that share a wallet numbers far apart. The client's own repetitions keep their nonce.
    """

    requires_request_body = True

    def __init__(
        self,
        private_key: bytes | str,
        *,
        max_cost: int | None = None,
        quote_factor: tuple[int, int] = (5, 4),
        dats: Sequence[int] = (),
        lane: int = 0,
        valid_for_seconds: int = 900,
        chain_id: int | None = None,
        settlement: str | None = None,
        node: str | None = None,
        models: Mapping[str, str] | None = None,
        now_seconds: Callable[[], int] = lambda: int(time.time()),
    ) -> None:
        self._key = private_key if isinstance(private_key, bytes) else bytes(hash_from_hex(private_key))
        self.address: Address = address_of_private_key(self._key)
        self._max_cost = max_cost
        self._factor = quote_factor
        self._dats = tuple(DatId(dat) for dat in dats)
        self._valid_for_seconds = valid_for_seconds
        self._pins = {
            "chain_id": chain_id,
            "settlement": settlement and settlement.lower(),
            "node": node and node.lower(),
        }
        self._models = dict(models or {})
        self._now_seconds = now_seconds
        self._lanes = _Lanes(lane)

    def sync_auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Ask the price, sign, send. A refused quote is the answer, so that the caller sees its error."""
        request.read()
        steps = self._steps(request)
        try:
            outgoing, wants_body = next(steps)
            while True:
                response = yield outgoing
                outgoing, wants_body = steps.send((response, response.read() if wants_body else b""))
        except StopIteration:
            return
        finally:
            # A connection that broke closes this generator, and so tells `_steps`.
            steps.close()

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """As `sync_auth_flow`."""
        await request.aread()
        steps = self._steps(request)
        try:
            outgoing, wants_body = next(steps)
            while True:
                response = yield outgoing
                outgoing, wants_body = steps.send((response, await response.aread() if wants_body else b""))
        except StopIteration:
            return
        finally:
            steps.close()

    def _steps(self, request: httpx2.Request) -> _Steps:
        """Requests to send, each with whether the body of its response is wanted."""
        target = self._target(request)
        if target is None:
            yield request, False
            return
        item = self._repetition(request, target)
        if item is None:
            lane = self._lanes.take(self._now_seconds())
            try:
                response, body = yield self._quote_request(request, target, lane), True
                if response.status_code != 200:
                    self._lanes.give(lane)
                    return
                item = self._sign(target, lane, body)
            except BaseException:
                self._lanes.give(lane)
                raise
        try:
            request.headers[HEADER] = item.header
            response, _ = yield request, False
        except BaseException:
            self._lanes.keep_open(target.key, item)
            raise
        self._close(target, item, response)

    def _target(self, request: httpx2.Request) -> _Target | None:
        """Where to ask the price of this request; None for one that costs nothing."""
        path = request.url.path
        name = ""
        if path.endswith(_PATH_EMBEDDINGS):
            prefix = path.removesuffix(_PATH_EMBEDDINGS)
        elif _PATH_MODELS in path and path.endswith("/infer"):
            prefix, _, rest = path.partition(_PATH_MODELS)
            name = rest.removesuffix("/infer").partition("/versions/")[0]
        else:
            return None
        if request.method != "POST":
            return None
        parameters: dict[str, str] = {"user": to_hex(self.address)}
        if name:
            parameters["model"] = name
        if self._dats:
            parameters["dats"] = ",".join(str(dat) for dat in self._dats)
        url = request.url.copy_with(path=prefix + _PATH_QUOTE, query=None).copy_merge_params(parameters)
        body = request.content
        return _Target(quote_url=url, key=(str(request.url), keccak256(body)), body=body)

    def _repetition(self, request: httpx2.Request, target: _Target) -> _Open | None:
        # The stock client counts its own attempts; a new request with the same body starts at 0.
        if request.headers.get("x-stainless-retry-count", "0") == "0":
            return None
        return self._lanes.reopen(target.key, self._now_seconds())

    def _quote_request(self, request: httpx2.Request, target: _Target, lane: int) -> httpx2.Request:
        headers = {"content-type": "application/json", "accept": "application/json"}
        url = target.quote_url.copy_merge_params({"lane": str(lane)})
        return httpx2.Request("POST", url, headers=headers, content=target.body, extensions=request.extensions)

    def _sign(self, target: _Target, lane: int, quote_body: bytes) -> _Open:
        """The header for this body at this price. Raises WrongNode."""
        quote = json.loads(quote_body)
        self._check_pins(quote)
        numerator, denominator = self._factor
        max_cost = -(-int(quote["cost_max"]) * numerator // denominator)
        if self._max_cost is not None:
            # A dearer quote is signed at our own limit: the node then answers 402, which is raised once.
            max_cost = min(max_cost, self._max_cost)
        expiry = self._now_seconds() + self._valid_for_seconds
        authorization = Authorization(
            user=self.address,
            node=address_from_hex(quote["node"]),
            model=ModelId(hash_from_hex(quote["model_digest"])),
            body_hash=target.key[1],
            dats=self._dats,
            max_cost=Wei(max_cost),
            expiry=expiry,
            lane=lane,
            counter=int(quote["next_counter"]),
        )
        signed = authorization.signed(self._key, quote["chain_id"], address_from_hex(quote["settlement"]))
        return _Open(header=encode_authorization(signed), lane=lane, expiry=expiry)

    def _check_pins(self, quote: Mapping[str, Any]) -> None:
        for name, pinned in self._pins.items():
            if pinned is not None and quote[name] != pinned:
                raise WrongNode(f"the node says {name} {quote[name]}, pinned is {pinned}")
        digest = self._models.get(quote["model"])
        if digest is not None and quote["model_digest"] != to_hex(hash_from_hex(digest)):
            raise WrongNode(f"the node serves {quote['model']} as {quote['model_digest']}, pinned is {digest}")

    def _close(self, target: _Target, item: _Open, response: httpx2.Response) -> None:
        status = response.status_code
        repeats = status in _RETRIED_BY_CLIENT or status >= 500
        if repeats and response.headers.get("x-should-retry") != "false":
            self._lanes.keep_open(target.key, item)
        else:
            self._lanes.give(item.lane)
