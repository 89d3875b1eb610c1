"""The command `completion`: what a shell runs when somebody presses Tab after `w2s`.

A shell asks the program itself, by an environment variable, and gets one candidate a line.
"""

import sys
from enum import StrEnum

import typer
from typer.completion import shell_complete

PROGRAM = "w2s"  # what installation calls python -m search
VARIABLE = "_W2S_COMPLETE"
EXAMPLES = (
    ('eval "$(w2s completion bash)"', "in ~/.bashrc; w2s is what installation calls python -m search"),
    ("w2s completion zsh > ~/.zfunc/_w2s", "for zsh"),
    ("w2s completion fish > ~/.config/fish/completions/w2s.fish", "for fish"),
)
# Typer's own script for bash hands over words that bash has broken at `=` and `:`, and ends every candidate
# with a space, so that `--set search.` can't go on. This one hands over the line, as typer's for fish does.
BASH = r"""
_w2s_completion() {
    local line="${COMP_LINE:0:COMP_POINT}" IFS=$'\n' option="" candidate
    local word="${line##*[[:space:]]}"
    [[ $word == --*=* ]] && option="${word%%=*}="
    local before="${word%"$2"}"  # of the word, what bash takes for finished
    COMPREPLY=()
    for candidate in $(env _W2S_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args \
            _TYPER_COMPLETE_ARGS="$line" COLUMNS=999 "$1" 2>/dev/null); do
        candidate="$option${candidate%%$'\t'*}"
        COMPREPLY+=("${candidate#"$before"}")
        [[ $candidate == *[./=] ]] && compopt -o nospace
    done
}
complete -o default -F _w2s_completion w2s
"""


class Shell(StrEnum):
    """A shell that can complete."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(context: typer.Context, shell: Shell) -> None:
    """Print a shell script that completes the command line.

    It completes commands, options, files, run directories, settings and their values.
    """
    if shell is Shell.BASH:
        sys.stdout.write(BASH.lstrip())
    else:
        shell_complete(context.find_root().command, {}, PROGRAM, VARIABLE, f"source_{shell}")
