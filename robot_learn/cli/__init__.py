"""The command line: `robot-learn COMMAND ...`.

A command is a flat dataclass, whose fields are its options and whose `run` does the work. Adding one is a class and one
line in `COMMANDS`; nothing is imported before it is asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from robot_learn.errors import UserError, nearest
from robot_learn.registry import load

COMMANDS = {
    "run": "robot_learn.cli.train:RunTask",
    "tasks": "robot_learn.cli.tasks:Tasks",
    "reward write": "robot_learn.cli.reward:Write",
    "reward check": "robot_learn.cli.reward:Check",
    "reward show": "robot_learn.cli.reward:Show",
    "reward preview": "robot_learn.cli.preview:PreviewReward",
    "reward screen": "robot_learn.cli.screen:ScreenRewards",
    "reward weigh": "robot_learn.cli.weigh:WeighReward",
    "reward search": "robot_learn.cli.search:SearchReward",
    "reward refine": "robot_learn.cli.refine:RefineReward",
    "reward record": "robot_learn.cli.reward:Record",
    "reward keep": "robot_learn.cli.reward:Keep",
    "reward fit": "robot_learn.cli.fit:FitReward",
    "video": "robot_learn.cli.video:Video",
    "train": "robot_learn.cli.train:Train",
    "evaluate": "robot_learn.cli.train:Evaluate",
    "prefer": "robot_learn.cli.prefer:Prefer",
    "progress": "robot_learn.cli.progress:ProgressOf",
    "sweep": "robot_learn.cli.sweep:SweepRun",
    "gallery": "robot_learn.cli.gallery:Gallery",
    "results": "robot_learn.cli.results:Results",
    "correct": "robot_learn.cli.correct:Correct",
    "calibrate": "robot_learn.cli.calibrate:Calibrate",
    "collect": "robot_learn.cli.collect:Collect",
    "fake-arm": "robot_learn.cli.fake_arm:FakeArmCommand",
    "hand": "robot_learn.cli.hand:HandCommand",
    "see": "robot_learn.cli.see:See",
    "deploy": "robot_learn.cli.deploy:Deploy",
    "data list": "robot_learn.cli.data:DataList",
    "data show": "robot_learn.cli.data:DataShow",
    "data export": "robot_learn.cli.data:DataExport",
    "data import": "robot_learn.cli.data:DataImport",
    "data actions": "robot_learn.cli.data:DataActions",
    "label": "robot_learn.cli.label:Label",
    "session": "robot_learn.cli.session:SessionCommand",
    "offline": "robot_learn.cli.offline:Offline",
    "bench arm": "robot_learn.cli.bench_arm:BenchArm",
    "bench session": "robot_learn.cli.bench_session:BenchSession",
    "bench alignment": "robot_learn.cli.bench:BenchAlignment",
    "bench offline": "robot_learn.cli.bench:BenchOffline",
    "bench text2reward": "robot_learn.cli.bench:BenchText2Reward",
    "bench video": "robot_learn.cli.bench_video:BenchVideo",
    "bench page": "robot_learn.cli.bench_page:BenchPage",
    "bench": "robot_learn.cli.bench:Bench",
}

_INTRO = """\
usage: robot-learn COMMAND [...]

A robot learns from what people can give it. The main job, a sentence that becomes a policy:

    robot-learn run metaworld/drawer-open

"""
_OUTRO = """
robot-learn COMMAND --help explains a command. Wherever figures are reported, --json prints them for machines.
--debug shows where an error was raised. Exit status: 0 done, 1 a fault of ours, 2 a mistake of yours, 130 interrupted.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    try:
        return _dispatch(words)
    except UserError as error:
        if debug:
            raise
        return _mistake(error, as_json="--json" in words)
    except MemoryError as error:
        if debug:
            raise
        return _mistake(UserError(f"not enough memory ({error}); fewer worlds (--num-envs) want less"), as_json=False)
    except KeyboardInterrupt:
        if debug:
            raise
        sys.stderr.write("robot-learn: interrupted\n")
        return 130
    except BrokenPipeError:
        return 0  # the reader of a pipe has seen enough
    except Exception as error:
        if debug:
            raise
        sys.stderr.write(f"robot-learn: a fault of ours: {type(error).__name__}: {error}\n")
        sys.stderr.write("please report it with the output of the same command and --debug\n")
        return 1


def _mistake(error: UserError, *, as_json: bool) -> int:
    if as_json:
        from robot_learn.cli.output import put_json

        found = [vars(entry) if hasattr(entry, "__dict__") else entry for entry in getattr(error, "diagnostics", ())]
        put_json({"error": str(error), "diagnostics": found})
    sys.stderr.write(f"robot-learn: {error}\n")
    return 2


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        sys.stdout.write(_INTRO + _list(COMMANDS) + _OUTRO)
        return 0
    if words == ["--version"]:
        from robot_learn import __version__

        sys.stdout.write(f"robot-learn {__version__}\n")
        return 0
    name = _command(words)
    if name is None:
        group = [known for known in COMMANDS if known.startswith(f"{words[0]} ")]
        sys.stdout.write(f"usage: robot-learn {words[0]} COMMAND [...]\n\n{_list(group)}")
        return 0
    return _run(name, words[len(name.split()) :])


def _command(words: list[str]) -> str | None:
    """The command that the first words name; None when they name a group of commands and ask for help."""
    for length in (2, 1):
        if " ".join(words[:length]) in COMMANDS:
            return " ".join(words[:length])
    inside = [known for known in COMMANDS if known.startswith(f"{words[0]} ")]
    if inside and (len(words) == 1 or words[1] in ("-h", "--help")):
        return None
    came = " ".join(words[: 2 if inside else 1])
    close = nearest(came, COMMANDS) or nearest(words[0], COMMANDS)
    hint = f"did you mean {close!r}? " if close else ""
    raise UserError(f"no command {came!r}; {hint}commands: {', '.join(COMMANDS)}")


def _run(name: str, words: list[str]) -> int:
    import tyro

    kind = load(COMMANDS, name, kind="command")
    try:
        command = tyro.cli(kind, args=words, prog=f"robot-learn {name}", config=(tyro.conf.FlagCreatePairsOff,))
    except SystemExit as stop:  # tyro has printed the help, or what is wrong with the options
        return int(stop.code or 0)
    return int(command.run() or 0)


def _list(names: Sequence[str] | dict[str, str]) -> str:
    width = max(len(name) for name in names) + 4
    lines = []
    for name in names:
        first = (load(COMMANDS, name, kind="command").__doc__ or "").strip().splitlines()[0]
        lines.append(f"    {name:<{width}}{first}")
    return "\n".join(lines) + "\n"
