"""`robot-learn see`."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from robot_learn.cli.output import OptionalPath, put, put_json, say, table
from robot_learn.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from hardware.vision import Seen
    from hardware.vision.objects import CameraObjects

_EVERY = 0.5  # [s] between two lines


@dataclass(frozen=True)
class See:
    """Show what a camera sees of the things that a file describes: where they are, how sure, and how steady."""

    file: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
    """The description, as for deploy --camera (docs/lab.md)."""
    seconds: float = float("inf")
    """How long; by default until Ctrl-C."""
    picture: OptionalPath = None
    """Save the last picture here, with the axes of what was seen drawn in."""
    json: bool = False
    """Print the figures at the end as JSON."""

    def run(self) -> int:
        from hardware.vision import described

        if not self.seconds > 0:
            raise UserError(f"--seconds: wanted more than 0, came {self.seconds:g}")
        watched: dict[str, _Watched] = {}
        with described.load(self.file) as eye:
            begun = time.monotonic()
            shown = _watch(eye, watched, self.seconds)
            passed = time.monotonic() - begun
            if self.picture is not None:
                _save(self.picture, eye, shown)
        rows = [one.figures(name) for name, one in sorted(watched.items())]
        figures = {"pictures": eye.pictures, "per_second": round(eye.pictures / passed, 1), "rejected": eye.rejected}
        if self.json:
            put_json(figures | {"things": rows})
        else:
            put(f"{eye.pictures} pictures, {figures['per_second']} a second; {eye.rejected} sightings rejected")
            put(table(rows))
        return 0


@dataclass
class _Watched:
    """What was seen of one thing."""

    positions: list[np.ndarray] = field(default_factory=list)
    confidence: list[float] = field(default_factory=list)
    source: str = ""

    def figures(self, name: str) -> dict[str, Any]:
        import numpy as np

        middle = np.median(self.positions, axis=0)
        off = 1000 * np.linalg.norm(np.array(self.positions) - middle, axis=1)
        return {
            "thing": name,
            "sightings": len(self.positions),
            "x": round(float(middle[0]), 4),
            "y": round(float(middle[1]), 4),
            "z": round(float(middle[2]), 4),
            "spread_mm": round(float(np.sqrt(np.mean(off**2))), 2),
            "confidence": round(float(np.median(self.confidence)), 3),
            "by": self.source,
        }


def _watch(eye: CameraObjects, watched: dict[str, _Watched], seconds: float) -> dict[str, Seen]:
    """Look until the time is over or somebody interrupts; what was known last."""
    begun, due, pictures = time.monotonic(), 0.0, 0
    known: dict[str, Seen] = {}
    try:
        while (now := time.monotonic()) - begun < seconds:
            known = eye.poses(now)
            if eye.pictures > pictures:
                pictures = eye.pictures
                _note(watched, known)
            if now >= due:
                due = now + _EVERY
                say(_line(known))
            time.sleep(0.005)
    except KeyboardInterrupt:
        pass
    return known


def _note(watched: dict[str, _Watched], known: dict[str, Seen]) -> None:
    for name, seen in known.items():
        one = watched.setdefault(name, _Watched())
        one.positions.append(seen.T_base_object[:3, 3])
        one.confidence.append(seen.confidence)
        one.source = seen.source


def _line(known: dict[str, Seen]) -> str:
    if not known:
        return "nothing is seen"
    parts = []
    for name, seen in sorted(known.items()):
        x, y, z = seen.T_base_object[:3, 3]
        parts.append(f"{name} {x:+.3f} {y:+.3f} {z:+.3f} m, sure {seen.confidence:.2f}, {1e3 * seen.age:.0f} ms old")
    return "; ".join(parts)


def _save(path: Path, eye: CameraObjects, known: dict[str, Seen]) -> None:
    import cv2

    from hardware.vision.poses import inverse

    picture, _ = eye.camera.read()
    shown = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    for seen in known.values():
        T = inverse(eye.calibration.T_base_camera) @ seen.T_base_object
        turned, _ = cv2.Rodrigues(T[:3, :3])
        cv2.drawFrameAxes(shown, eye.calibration.matrix, eye.calibration.distortion, turned, T[:3, 3], 0.04, 2)
    if not cv2.imwrite(str(path), shown):
        raise UserError(f"--picture {path}: cannot be written")
