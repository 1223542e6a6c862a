"""``identity completion``: the script that lets a shell complete commands and options."""

import click
from click.shell_completion import ShellComplete, get_completion_class

from cli.output import answer, json_option

PROGRAM, VARIABLE = "identity", "_IDENTITY_COMPLETE"
SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@json_option
def completion(shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash: add to ~/.bashrc     eval "$(identity completion bash)"
    zsh:  add to ~/.zshrc      eval "$(identity completion zsh)"
    fish: identity completion fish > ~/.config/fish/completions/identity.fish
    """
    found = get_completion_class(shell)
    if found is None:
        raise AssertionError("click completes for each of these shells")
    root = click.get_current_context().find_root().command
    # Not the subclass's: that of bash runs the local bash, and the script may be for another machine.
    script = ShellComplete.source(found(root, {}, PROGRAM, VARIABLE))
    answer({"shell": shell, "script": script}, script)
