"""`lazai completion`."""

from __future__ import annotations

import click

_INSTALL = {
    "bash": 'eval "$(lazai completion bash)"   in ~/.bashrc',
    "zsh": 'eval "$(lazai completion zsh)"   in ~/.zshrc',
    "fish": "lazai completion fish > ~/.config/fish/completions/lazai.fish",
}


@click.command(
    short_help="Print a shell's completion script.",
    epilog="Install with:\n\n" + "\n\n".join(f"{shell}: {line}" for shell, line in _INSTALL.items()),
)
@click.argument("shell", type=click.Choice(list(_INSTALL)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of SHELL: bash, zsh or fish."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None, "every choice has its class"
    script = kind(context.find_root().command, {}, "lazai", "_LAZAI_COMPLETE")
    # The class's own source() first asks the shell for its version; a script can be printed without one.
    click.echo(script.source_template % script.source_vars())
