"""`vdd completion`, asked in the shells themselves."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from vdd_ros import cli
from vdd_ros.commands import calibrate, completion, contract

SHELLS = ("bash", "zsh", "fish")
# Only an interactive shell completes, so one is started behind a terminal, where whatever is added
# to its completions says so. Calls that fill an array (-A, -D, -O) add nothing.
ZSH = r"""
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "
PS1= ; fpath=($PWD \$fpath); autoload -U compinit; compinit -u -D
compadd() {
  local -a found
  [[ \"\${@[1,(i)(-|--)]}\" == *-(A|D|O)\ * ]] || {
    builtin compadd -A found \"\$@\"
    print -rl -- OFFERED:\$^found
  }
  builtin compadd \"\$@\"
}
ended() print END; zle -N ended; bindkey '^Xe' ended; print READY"
zpty -r shell said '*READY*READY*'
zpty -w -n shell "$1"$'\t\C-Xe'
zpty -r shell said '*END*'
print -r -- $said
"""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory) -> dict[str, Path]:
    """By shell, the script as a file."""
    folder, whole = tmp_path_factory.mktemp("completion"), completion.everything()
    paths = {shell: folder / f"_vdd.{shell}" for shell in SHELLS}
    for shell, path in paths.items():
        path.write_text(completion.with_files(shell, completion.script(shell, whole)))
    (folder / "my_contract.yaml").touch()
    return paths


def require(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here: apt-get install {shell}")


def in_bash(script: Path, *words: str) -> set[str]:
    """What bash offers for the last of the words, which is not finished."""
    quoted = " ".join(f"'{word}'" for word in words)
    program = (
        f"source {script}; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _vdd;"
        ' printf "%s\\n" "${COMPREPLY[@]}"'
    )
    return set(asked(["bash", "-c", program], script).split())


def in_fish(script: Path, *words: str) -> set[str]:
    """What fish offers."""
    program = f"source {script}; complete -C '{' '.join(words)}'"
    command = ["fish", "--no-config", "-c", program]
    return {line.split("\t")[0] for line in asked(command, script).splitlines()}


def in_zsh(script: Path, *words: str) -> set[str]:
    """What zsh adds to its completions at the press of a key."""
    shutil.copy(script, script.with_name("_vdd"))  # zsh finds it by this name
    said = asked(["zsh", "-f", "-c", ZSH, "zsh", " ".join(words)], script)
    return set(re.findall(r"OFFERED:(\S+)", said))


def asked(command: list[str], script: Path) -> str:
    done = subprocess.run(command, cwd=script.parent, capture_output=True, text=True)
    assert done.stderr == ""
    return done.stdout


ASK = {"bash": in_bash, "zsh": in_zsh, "fish": in_fish}


@pytest.mark.parametrize("shell", list(ASK))
def test_subcommands_tools_and_options_are_offered(scripts, shell):
    require(shell)

    def offered(*words: str) -> set[str]:
        return ASK[shell](scripts[shell], "vdd", *words)

    assert offered("") >= set(cli.COMMANDS)
    assert offered("cal") == {"calibrate"}
    assert offered("contract", "") >= set(contract.TOOLS)
    assert offered("calibrate", "hand-") == {"hand-eye"} <= set(calibrate.TOOLS)
    assert offered("contract", "check", "--na") == {"--namespace"}
    assert offered("doctor", "--js") == {"--json"}


def test_an_options_choices_are_offered(scripts):
    require("bash")
    offered = in_bash(scripts["bash"], "vdd", "contract", "new", "--controller", "")
    assert {"forward_position_controller", "joint_trajectory_controller"} <= offered


def test_bash_offers_files_where_nothing_else_fits(scripts):
    require("bash")
    assert in_bash(scripts["bash"], "vdd", "contract", "check", "my_") == set()
    program = f"source {scripts['bash']}; complete -p vdd"
    assert "-o bashdefault -o default -F _vdd vdd" in asked(
        ["bash", "-c", program], scripts["bash"]
    )


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_files_are_offered_where_nothing_else_fits(scripts, shell):
    require(shell)
    found = ASK[shell](scripts[shell], "vdd", "contract", "check", "my_")
    assert found == {"my_contract.yaml"}


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_reads_its_script(scripts, shell):
    require(shell)
    asked([shell, "-n", str(scripts[shell])], scripts[shell])


def test_no_path_of_the_machine_that_printed_it_is_in_it(scripts):
    root = str(Path(__file__).resolve().parents[1])
    for path in scripts.values():
        assert root not in path.read_text()


def test_a_subcommand_that_cannot_be_imported_here_is_offered_without_options(monkeypatch):
    monkeypatch.setitem(cli.COMMANDS, "missing", "of another machine")
    text = completion.script(
        "bash",
        completion.one_of(
            {"missing": completion.subcommand("missing"), "keygen": completion.subcommand("keygen")}
        ),
    )
    assert "'missing'" in text and "--json" in text


def test_it_is_printed(monkeypatch, capsys):
    """Of two subcommands, as all of them take seconds."""
    monkeypatch.setattr(completion, "COMMANDS", ("keygen", "doctor"))
    assert cli.main(["completion", "bash"]) == 0
    printed = capsys.readouterr().out
    assert "'keygen'" in printed and "complete -o bashdefault" in printed
    assert cli.main(["completion", "zsh"]) == 0
    assert capsys.readouterr().out.startswith("#compdef vdd")
