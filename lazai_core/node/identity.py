"""The node's key: a key file (Web3 secret storage, by eth-keyfile) and an object that signs and tells nothing."""

from __future__ import annotations

import getpass
import json
import os
import secrets
import sys
from pathlib import Path

from lazai_core.api.errors import AssemblyError, StorageError
from lazai_core.api.hashing import SECP256K1_ORDER, address_of_private_key, sign_digest
from lazai_core.api.types import Address, to_hex

PASSWORD_VARIABLE = "LAZAI_KEY_PASSWORD"
# OWASP's recommendation for PBKDF2 with HMAC-SHA-256.
PBKDF2_ITERATIONS = 600_000


class Secret:
    """Bytes that no log, traceback or debugger prints by accident."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = bytes(value)

    def reveal(self) -> bytes:
        """The bytes themselves."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a secret is not to be pickled")


class KeyIdentity:
    """`NodeIdentity` over a private key in memory."""

    def __init__(self, private_key: Secret) -> None:
        self._private_key = private_key
        self.address: Address = address_of_private_key(private_key.reveal())

    def sign(self, digest: bytes) -> bytes:
        """65-byte recoverable signature over 32 bytes."""
        return sign_digest(digest, self._private_key.reveal())

    def __repr__(self) -> str:
        return f"KeyIdentity({to_hex(self.address)})"


def new_private_key() -> Secret:
    """A fresh key from the operating system's randomness."""
    while True:
        value = secrets.token_bytes(32)
        if 0 < int.from_bytes(value, "big") < SECP256K1_ORDER:
            return Secret(value)


def write_key_file(path: Path, private_key: Secret, password: bytes, *, work_factor: int = PBKDF2_ITERATIONS) -> None:
    """Write an encrypted key file that only its owner may read. Never overwrites. Raises StorageError.

    `work_factor` counts iterations of PBKDF2 with HMAC-SHA-256.
    """
    from eth_keyfile.keyfile import create_keyfile_json

    content = create_keyfile_json(private_key.reveal(), password, iterations=work_factor)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise StorageError(f"there is a key file already: {path}", hint="keys are never overwritten") from None
    except OSError as error:
        raise StorageError(f"cannot write the key file {path}: {error.strerror}") from error
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        json.dump(content, file)


def read_key_file(path: Path, password: bytes) -> Secret:
    """Decrypt a key file. Raises AssemblyError saying what to do."""
    from eth_keyfile.keyfile import decode_keyfile_json

    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise AssemblyError(
            f"cannot read the key file {path}: {error.strerror}", hint="make one with `lazai init`"
        ) from error
    except ValueError as error:
        raise AssemblyError(f"the key file {path} is not JSON: {error}") from error
    try:
        return Secret(decode_keyfile_json(content, password))
    except (ValueError, KeyError, TypeError, AttributeError, NotImplementedError) as error:
        raise AssemblyError(
            f"the key file {path} cannot be opened: {error}",
            hint=f"give its password in the environment variable {PASSWORD_VARIABLE}",
        ) from error


def load_identity(path: Path) -> KeyIdentity:
    """The identity of a key file.

    Its password comes from the environment, else from a file `<name>.password` beside the key, else from a prompt
    on a terminal. Raises AssemblyError.
    """
    return KeyIdentity(read_key_file(path, _password(path)))


def _password(path: Path) -> bytes:
    given = os.environ.get(PASSWORD_VARIABLE)
    if given is not None:
        return given.encode()
    beside = path.with_name(path.name + ".password")
    if beside.exists():
        try:
            return beside.read_bytes().rstrip(b"\r\n")
        except OSError as error:
            raise AssemblyError(f"cannot read the password file {beside}: {error.strerror}") from error
    if sys.stdin is not None and sys.stdin.isatty() and path.exists():
        return getpass.getpass(f"Password of {path}: ").encode()
    return b""
