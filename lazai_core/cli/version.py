"""`lazai version`."""

from __future__ import annotations

import platform

import click

from .output import print_json


@click.command(short_help="Versions of the core, the hook API and Python.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
def version(as_json: bool) -> None:
    """Print the versions of the core, the hook API and Python, for reports."""
    import lazai_core
    from lazai_core.api.version import HOOK_API

    hook_api = ".".join(str(part) for part in HOOK_API)
    machine = f"{platform.system()} {platform.machine()}"
    if as_json:
        print_json(
            {
                "lazai_core": lazai_core.__version__,
                "hook_api": hook_api,
                "python": platform.python_version(),
                "machine": machine,
            }
        )
        return
    click.echo(
        f"lazai-core {lazai_core.__version__}, hook API {hook_api}, Python {platform.python_version()}, {machine}"
    )
