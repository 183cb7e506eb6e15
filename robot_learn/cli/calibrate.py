"""`robot-learn calibrate`."""

from __future__ import annotations

from dataclasses import dataclass

from robot_learn.cli.output import TaskName, put, put_json, say
from robot_learn.errors import UserError, unknown


@dataclass(frozen=True)
class Calibrate:
    """Calibrate a task's cameras, with which the teacher "vision" measures lengths in space."""

    task: TaskName
    """A task, e.g. metaworld/drawer-open."""
    camera: str = "side+corner"
    """The cameras, whose pictures lie beside each other."""
    moments: int = 4000
    """That are looked at; in a fifth of them the error is measured."""
    size: int = 128
    """Pixels of a picture's side."""
    json: bool = False
    """Print the errors as JSON."""

    def run(self) -> int:
        from rewards.preference.stereo import STEREO
        from robot_learn.preferences.calibrate import calibrate

        if (self.task, self.camera) not in STEREO:
            listed = [f"{task} by {cameras}" for task, cameras in STEREO]
            raise unknown("task and cameras with lengths to measure", f"{self.task} by {self.camera}", listed)
        if self.moments < 1 or self.size < 48:
            raise UserError(f"wanted moments from 1 and a size from 48, came {self.moments} and {self.size}")
        stereo = STEREO[self.task, self.camera]
        found = calibrate(stereo, self.moments, size=self.size, say=say)
        stereo.file.parent.mkdir(exist_ok=True)
        stereo.file.write_text(found.to_json(), encoding="utf-8")
        say(f"written   {stereo.file}")
        if self.json:
            put_json({"moments": found.moments, "residual": found.residual.tolist()})
        else:
            errors = ", ".join(f"{1000 * error:.1f}" for error in found.residual)
            put(f"error     {errors} mm (root mean square of a fifth that was not fitted to)")
        return 0
