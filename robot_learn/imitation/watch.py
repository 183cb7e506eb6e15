"""What is seen of a video and of a robot: sheets for whoever judges, figures, and what the gates say.

Both are treated alike: frames at the moments that tell the motion, numbered, with their times. All of it lies in a
folder, so that it is filmed once. Robots are watched on validation seeds, never on those of results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import sims
from rewards.video.clip import Clip, read_clip
from rewards.video.gates import Gates
from rewards.video.motion import Motion, choose_frames, measure, tracks
from rewards.video.prompts import Shown
from rewards.video.sheets import FRAMES, Sheet, contact_sheet
from rewards.video.signals import Signals, Track, signals, table, video_rows
from robot_learn.envs import VALIDATION_SEED0
from robot_learn.errors import UserError
from robot_learn.imitation.bodies import tracks as tracks_of
from robot_learn.imitation.state import ImitationConfig
from robot_learn.policy import load_policy
from robot_learn.probes import record
from robot_learn.resumable import read_json, write_json
from robot_learn.rollouts import Rollouts
from robot_learn.runs import Run
from robot_learn.scene import Scene
from robot_learn.types import Policy
from robot_learn.video import frame_timing, write_video

SEEN, FILM, TRACKS = "seen.json", "video.mp4", "tracks.npz"
SECONDS = 8.0  # of an episode that are filmed
SIZE = (320, 240)  # (width, height) of a picture
MOST_POINTS = 40
QUIET = 0.3  # of the motion of a video's liveliest moments, below which it rests: a body that stands still sways


@dataclass(frozen=True, eq=False)
class Seen:
    """One motion, as it is shown and measured."""

    shown: Shown
    figures: str  # a line each, for prompts
    signals: Signals | None = None  # of a robot's first rollout
    veto: tuple[str, ...] = ()  # why a robot cannot be accepted
    rests: bool = False  # a video: what moves comes to rest in it

    @property
    def own_figures(self) -> str:
        """Of a robot without those of the video, which stand beside them."""
        if self.signals is None:
            return self.figures
        return "\n".join(line for line in self.figures.splitlines() if not line.startswith("video: "))

    @property
    def gates(self) -> Gates:
        """What a robot must keep to that is to move like this: after a landing it may stand as still as the video."""
        return Gates(still_share=1.0) if self.rests else Gates()


def watch_video(place: Path, config: ImitationConfig) -> Seen:
    """The video of an imitation; read once, then found in its folder.

    Raises:
        UserError: it cannot be read, or nothing moves in it.
    """
    if (place / SEEN).exists():
        return _load(place)
    clip = read_clip(
        config.video,
        start=config.start,
        end=config.end,
        fps=config.fps,
        speed=config.speed,
        stabilised=config.stabilise,
    )
    motion = measure(clip)
    rows = [*video_rows(motion), *_point_rows(clip)]
    place.mkdir(parents=True, exist_ok=True)
    write_video(place / FILM, list(clip.frames), clip.fps)
    return _keep(place, _shown(Film(clip), motion, "the video"), rows, rests=rests(motion))


def rests(motion: Motion) -> bool:
    """Is a quarter of the second half of a clip quiet, beside its liveliest moments? A rhythm never rests."""
    late = motion.energy[len(motion.energy) // 2 :]
    quiet = late < QUIET * float(np.quantile(motion.energy, 0.9))
    return motion.period is None and bool(quiet.mean() > 0.25)


def watch_run(run: Run, place: Path, *, episodes: int, expert: Sequence[str] = (), gates: Gates | None = None) -> Seen:
    """A run's policy in its own task: filmed, measured and held against the gates; once, then found in `place`.

    Args:
        expert: lines of figures about the video, to stand beside those of the robot.
    """
    if (place / SEEN).exists():
        return _load(place)
    task_name, options, policy = run.config["task"], run.config.get("simulator", {}), load_policy(run)
    rollouts, film = roll_out(task_name, policy, episodes, options=options)
    if typical := typical_episode(tracks_of(rollouts, sims.task(task_name))):
        rollouts, film = roll_out(task_name, policy, episodes, options=options, filmed=typical)
    return keep_robot(place, rollouts, film, task_name, expert, gates)


def typical_episode(moved: Sequence[Track]) -> int:
    """The first that ended like most of them: one fall among many walks is not what a robot does."""
    most_fall = sum(track.ended for track in moved) > len(moved) / 2
    return next((number for number, track in enumerate(moved) if track.ended == most_fall), 0)


@dataclass(frozen=True, eq=False)
class Film:
    """A clip of a robot, and what else can be shown of its moments."""

    clip: Clip
    more: Callable[[np.ndarray], dict[str, np.ndarray]] = lambda chosen: {}  # frames (K, H, W, 3) by view


def keep_robot(
    place: Path,
    rollouts: Rollouts,
    film: Film,
    task_name: str,
    expert: Sequence[str] = (),
    gates: Gates | None = None,
) -> Seen:
    """Sheets, figures and the gates' word of rollouts, of which the first was filmed, written to a folder."""
    moved = tracks_of(rollouts, sims.task(task_name))
    found, veto = signals(moved[0]), (gates or Gates()).veto(moved)
    motion = measure(film.clip)
    fallen = float(np.mean([track.ended for track in moved]))
    rows = [*table(found).splitlines(), f"robot: it fell in {fallen:.0%} of {len(moved)} rollouts"]
    rows += [*video_rows(motion, "robot's film"), *expert]
    place.mkdir(parents=True, exist_ok=True)
    _keep_tracks(place / TRACKS, moved)
    write_video(place / FILM, list(film.clip.frames), film.clip.fps)
    return _keep(place, _shown(film, motion), rows, found, veto)


def roll_out(
    task_name: str,
    policy: Policy,
    episodes: int,
    *,
    options: Mapping[str, Any] | None = None,
    first_seed: int = VALIDATION_SEED0,
    filmed: int = 0,
    camera: str | None = None,
    size: tuple[int, int] | None = None,
    seconds: float | None = None,
) -> tuple[Rollouts, Film]:
    """Episodes of a policy, a world each, and a film of one from a camera, by default the task's first.

    Args:
        filmed: which episode is filmed; it changes places with the first.
        size: (width, height) of its pictures; by default `SIZE`.
        seconds: of the episode that are filmed; by default `SECONDS`.

    Raises:
        UserError: nothing can be drawn here.
    """
    size, seconds = size or SIZE, seconds or SECONDS
    env = sims.make(task_name, episodes, **(options or {}))
    stride, fps = frame_timing(env.task.control_dt)
    name = camera or env.worlds.cameras[0]
    frames: list[np.ndarray] = []
    moments: list[Any] = []

    def act(step: int, scene: Scene, observations: np.ndarray) -> np.ndarray:
        # When its episode is over, a world stands at another start, which is none of this film.
        is_first = scene.steps is not None and int(scene.steps[0]) == step
        if is_first and step % stride == 0 and step * env.task.control_dt < seconds:
            frames.append(env.render_world(0, *size, name))
            moments.append(env.snapshot_world(0))
        return np.asarray(policy.predict(observations, deterministic=True)[0])

    seeds = _seeds(first_seed, episodes)
    seeds[0], seeds[filmed] = seeds[filmed], seeds[0]
    rollouts = record(env, "policy", seeds, act)
    others = [other for other in env.worlds.cameras if other != name][:1]

    def more(chosen: np.ndarray) -> dict[str, np.ndarray]:
        # Only the moments of the sheet are drawn from the other side: drawing takes longer than simulating.
        if not others:
            return {}
        with closing(sims.make(task_name, 1, **(options or {}))) as again:
            shown = [moments[min(index, len(moments) - 1)] for index in chosen]
            return {others[0]: np.array([_drawn(again, moment, others[0], size) for moment in shown])}

    return rollouts, Film(clip_of(frames, fps, name), more)


def play(
    task_name: str,
    policy: Policy,
    episodes: int,
    *,
    options: Mapping[str, Any] | None = None,
    first_seed: int = VALIDATION_SEED0,
) -> Rollouts:
    """Episodes of a policy, a world each, unseen."""

    def act(step: int, scene: Scene, observations: np.ndarray) -> np.ndarray:
        return np.asarray(policy.predict(observations, deterministic=True)[0])

    return record(sims.make(task_name, episodes, **(options or {})), "policy", _seeds(first_seed, episodes), act)


def _seeds(first: int, count: int) -> list[int]:
    return [first + number for number in range(count)]


def _drawn(env: sims.BatchEnv, moment: Any, camera: str, size: tuple[int, int]) -> np.ndarray:
    env.restore_world(0, moment)
    return env.render_world(0, *size, camera)


def clip_of(frames: Sequence[np.ndarray], fps: float, name: str) -> Clip:
    """A clip of at least two frames, so that there is something to measure."""
    return Clip(np.array(frames if len(frames) > 1 else [*frames, *frames]), fps, name)


def _shown(film: Film, motion: Motion, first: str | None = None) -> Shown:
    """A sheet of each view, of the same moments, which the first view tells."""
    clip = film.clip
    chosen = choose_frames(motion, min(FRAMES, len(clip.frames)))
    times = clip.times()[chosen].tolist()
    more = film.more(chosen)
    sheets = (contact_sheet(clip.frames[chosen], times), *(contact_sheet(view, times) for view in more.values()))
    views = tuple(f"from the {name}" for name in (clip.name, *more))
    return Shown(sheets, views if first is None else (first,), clip.seconds, clip.fps, motion.period)


def _point_rows(clip: Clip) -> list[str]:
    """How far points go that can be followed through the whole clip."""
    paths = tracks(clip, MOST_POINTS)
    if not len(paths):
        return []
    # The first are those that go farthest; most others are the ground's.
    across, up = np.ptp(paths[: max(1, len(paths) // 4)], axis=1).mean(axis=0)
    return [
        f"video: of {len(paths)} points that could be followed, the quarter that goes farthest moves {up:.2f} up and "
        f"down and {across:.2f} across, in picture heights"
    ]


def _keep(
    place: Path,
    shown: Shown,
    rows: Sequence[str],
    found: Signals | None = None,
    veto: tuple[str, ...] = (),
    *,
    rests: bool = False,
) -> Seen:
    for number, sheet in enumerate(shown.sheets):
        (place / f"sheet-{number}.png").write_bytes(sheet.picture)
    kept = {
        "figures": list(rows),
        "veto": list(veto),
        "rests": rests,
        "signals": None if found is None else asdict(found),
        "sheets": [{"code": sheet.code, "times": list(sheet.times)} for sheet in shown.sheets],
        "shown": {name: getattr(shown, name) for name in ("views", "seconds", "fps", "period")},
    }
    write_json(place / SEEN, kept)  # last: what it names is there
    return _load(place)


def _load(place: Path) -> Seen:
    """Raises:
    UserError: a file is missing or damaged.
    """
    stored = read_json(place / SEEN)
    try:
        sheets = tuple(
            Sheet((place / f"sheet-{number}.png").read_bytes(), sheet["code"], tuple(sheet["times"]))
            for number, sheet in enumerate(stored["sheets"])
        )
        shown = Shown(sheets, **stored["shown"] | {"views": tuple(stored["shown"]["views"])})
        found = stored["signals"]
        if found is not None:
            found = Signals(**found | {name: tuple(found[name]) for name in ("height", "tilt")})
        return Seen(shown, "\n".join(stored["figures"]), found, tuple(stored["veto"]), stored["rests"])
    except (OSError, KeyError, TypeError) as error:
        raise UserError(f"{place}: its pictures are damaged ({error!r}); delete {SEEN} in it") from error


def _keep_tracks(path: Path, moved: Sequence[Track]) -> None:
    arrays: dict[str, Any] = {}
    for number, track in enumerate(moved):
        arrays |= {f"{number}/{name}": getattr(track, name) for name in ("dt", "position", "tilt", "joints", "ended")}
        if track.feet is not None:
            arrays |= {f"{number}/feet": track.feet, f"{number}/names": np.array(track.names)}
    with suppress(OSError):
        path.unlink(missing_ok=True)
    np.savez_compressed(path, **arrays)


def ungrounded(seen: Seen) -> Seen:
    """The same without figures, for the ablation."""
    return replace(seen, figures="None: only the pictures tell.")
