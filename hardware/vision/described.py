"""A camera and what it shall look for, from a JSON file:

    {
      "camera": 0,
      "calibration": "camera.json",
      "tags": {"cube": {"half": [0.02, 0.02, 0.02], "size": 0.03, "first": 0}},
      "colours": {"cube": {"half": [0.02, 0.02, 0.02], "hue": [345, 25]}},
      "smoothing": {"memory": 0.1}
    }

`camera` is a number or an address for OpenCV, or a folder of pictures; `calibration` is a path from the file's own
folder. Tags are one on each face of a box, numbered from `first`. At least one of `tags` and `colours` must be there;
`dictionary`, `delay`, `fps` and `smoothing` may be left out.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hardware.vision import Camera, Finder
from hardware.vision.calibration import Calibration
from hardware.vision.cameras import FolderCamera, VideoCamera
from hardware.vision.colours import Coloured, ColourFinder
from hardware.vision.objects import CameraObjects
from hardware.vision.smoothing import Smoothing
from hardware.vision.tags import Tag, TagFinder, on_box
from robot_learn.errors import UserError, unknown


@dataclass(frozen=True, eq=False)
class Described:
    """What a simulator must know to stand in for the camera."""

    calibration: Calibration
    tags: Mapping[str, Sequence[Tag]]  # by the thing that carries them
    dictionary: str
    period: float  # [s] between two pictures
    delay: float  # [s]


_KEYS = ("camera", "calibration", "tags", "colours", "dictionary", "delay", "fps", "smoothing")


def load(
    path: Path,
    *,
    clock: Callable[[], float] = time.monotonic,
    camera: Camera | None = None,
    calibration: Calibration | None = None,
) -> CameraObjects:
    """What the file describes.

    Args:
        clock: of the times of pictures [s].
        camera: instead of the file's, e.g. a simulator's,
        calibration: and what it makes of the world.

    Raises:
        UserError: the file cannot be read, or says something impossible: which file and key.
    """
    told = _read(path)
    calibration = calibration or Calibration.read(path.parent / str(told["calibration"]))
    finders = _finders(path, told, calibration)
    smoothing = _made(f"{path}, smoothing", Smoothing, told.get("smoothing", {}))
    eye = _camera(told, path, calibration, clock) if camera is None else camera
    return CameraObjects(eye, calibration, finders, smoothing)


def described(path: Path) -> Described:
    """The file without its camera, which need not be there.

    Raises:
        UserError: as `load`.
    """
    told = _read(path)
    delay, fps = _delay(told, path)
    calibration = Calibration.read(path.parent / str(told["calibration"]))
    return Described(calibration, _tagged(path, told), str(told.get("dictionary", "4x4")), 1 / fps, delay)


def _read(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"camera {path}: cannot be read: {error}") from error
    if not isinstance(told, dict):
        raise UserError(f"camera {path}: wanted an object, came {type(told).__name__}")
    for key in told:
        if key not in _KEYS:
            raise unknown(f"key of {path}", key, _KEYS)
    if "camera" not in told or "calibration" not in told or not (told.get("tags") or told.get("colours")):
        raise UserError(f"camera {path}: wanted 'camera', 'calibration' and 'tags' or 'colours', came {sorted(told)}")
    for key in ("tags", "colours"):
        things = told.get(key, {})
        if not isinstance(things, dict) or not all(isinstance(entry, dict) for entry in things.values()):
            raise UserError(f"camera {path}, {key}: wanted an object of things by name, each an object")
    return told


def _finders(path: Path, told: dict[str, Any], calibration: Calibration) -> list[Finder]:
    finders: list[Finder] = []
    tagged = _tagged(path, told)
    if tagged:
        finders.append(TagFinder(calibration, tagged, str(told.get("dictionary", "4x4"))))
    coloured = [
        _made(f"{path}, colours, {name}", Coloured, {"name": name, **_tuples(entry)})
        for name, entry in dict(told.get("colours", {})).items()
    ]
    if coloured:
        finders.append(ColourFinder(calibration, coloured))
    return finders


def _tagged(path: Path, told: dict[str, Any]) -> dict[str, tuple[Tag, ...]]:
    return {name: _made(f"{path}, tags, {name}", on_box, entry) for name, entry in dict(told.get("tags", {})).items()}


def _tuples(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}


def _made(where: str, make: Callable[..., Any], settings: Any) -> Any:
    """What `make` makes of settings by name, or an error that says where they stand."""
    try:
        return make(**settings)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}: {error}; came {settings!r}") from error


def _delay(told: dict[str, Any], path: Path) -> tuple[float, float]:
    """Delay [s] and pictures a second."""
    delay, fps = told.get("delay", 0.0), told.get("fps", 30.0)
    if not isinstance(delay, int | float) or not isinstance(fps, int | float) or not (delay >= 0 and fps > 0):
        raise UserError(f"camera {path}: wanted delay [s] from 0 and fps above 0, came {delay!r} and {fps!r}")
    return float(delay), float(fps)


def _camera(told: dict[str, Any], path: Path, calibration: Calibration, clock: Callable[[], float]) -> Camera:
    source, (delay, fps) = told["camera"], _delay(told, path)
    if not isinstance(source, int | str) or isinstance(source, bool):
        raise UserError(f"camera {path}: wanted a number, an address or a folder as camera, came {source!r}")
    if isinstance(source, str) and (path.parent / source).is_dir():
        return FolderCamera(path.parent / source, 1 / fps, clock)
    return VideoCamera(source, width=calibration.width, height=calibration.height, fps=fps, delay=delay, clock=clock)
