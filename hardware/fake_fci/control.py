"""The controller behind the ports: what state the arm is in, what it follows, what ends a motion, what may be asked.

One `advance` is one millisecond: take up the client's command, or notice that none came; let the arm move; look at what
its sensors say. Everything that goes wrong ends in `reflex`: the motion is answered, the arm brakes and holds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from hardware.fake_fci.collisions import Collisions, SelfCollision
from hardware.fake_fci.motion import DT, Generators, Reference
from hardware.fake_fci.physics import Physics, Sensed
from hardware.fake_fci.planner import Planner
from hardware.fake_fci.udp import RobotCommand

MOST_LOST = 20  # commands in a row
_GRACE = 1000  # ticks that a client may take until its first command
_TORQUE_STEP = 1000.0 * DT + 1e-5  # [Nm] 1000 Nm/s, and what a float32 may be off
_BEYOND = 0.01  # [rad] that a joint gives at its stop
_FASTER = 1.05  # share of the velocity limit at which a measured velocity is a violation

Answer = Callable[[str], None]  # takes the name of an outcome


@dataclass(eq=False)
class Motion:
    """A motion that a client has asked for."""

    generator: str
    controller: str
    answer: Answer
    planner: Planner | None = None  # of targets that come at any rate
    begun: bool = False  # its first command has come
    waited: int = 0  # ticks until then
    lost: int = 0  # commands in a row
    received: deque[bool] = field(default_factory=lambda: deque(maxlen=100))
    torque: np.ndarray = field(default_factory=lambda: np.zeros(7))  # [Nm] commanded last
    ending: bool = False  # an asynchronous motion that only has to come to rest

    @property
    def cartesian(self) -> bool:
        return self.generator.startswith("cartesian")


class Control:
    """One arm's controller.

    Attributes:
        mode: robot mode, one of `messages.ROBOT_MODES`.
        errors, reflex_reason: names of current errors, and of those that ended the last motion.
        success_rate: share of the last 100 commands that came in time; 0 without a motion, as libfranka documents it.
    """

    def __init__(self, physics: Physics) -> None:
        self.physics, self.arm = physics, physics.arm
        self.collisions, self.self_collision = Collisions(), SelfCollision(physics.model)
        self.mode = "idle"
        self.errors: tuple[str, ...] = ()
        self.reflex_reason: tuple[str, ...] = ()
        self.motion: Motion | None = None
        self.tau_d = np.zeros(7)
        self.restart()

    def restart(self) -> None:
        """Forget what was followed: the arm has been put somewhere else, or the end effector is another."""
        self.generators = Generators(self.arm, self.physics.skeleton, self.physics.tool.F_T_EE)
        self.physics.skeleton.move(self.physics.sensed.q)
        pose = self.physics.skeleton.flange() @ self.physics.tool.F_T_EE
        self.reference = Reference.at_rest(self.physics.sensed.q, pose)

    @property
    def success_rate(self) -> float:
        if self.motion is not None and self.motion.planner is not None:
            return 1.0  # commands come at any rate, so none can be missing
        received = self.motion.received if self.motion is not None else ()
        return sum(received) / len(received) if received else 0.0

    @property
    def expects_commands(self) -> bool:
        """A command is due each tick."""
        return self.motion is not None and self.motion.planner is None and self.motion.begun

    @property
    def at_rest(self) -> bool:
        """Nothing is going on that time would change."""
        still = not self.reference.dq.any() and np.abs(self.physics.sensed.dq).max() < 1e-3
        return self.motion is None and still and self.mode != "guiding"

    @property
    def braking(self) -> bool:
        """The last motion is over and the arm not yet at rest; requests wait until it is."""
        return self.motion is None and bool(self.reference.dq.any()) and self.mode != "guiding"

    # Requests: each returns the name of its outcome.

    def move(self, generator: str, controller: str, answer: Answer, most: np.ndarray | None = None) -> str:
        """Begin a motion; later `answer` is called with how it ended.

        Args:
            most: (7,) [rad/s] largest velocities of a motion to targets that come at any rate; None: commands come
                each tick.
        """
        if self.mode != "idle" or self.motion is not None:
            return "not_possible"
        if controller == "other" or (generator == "none") != (controller == "external" and generator == "none"):
            return "invalid_argument"
        planner = None
        if most is not None:
            allowed = np.all((most > 0) & (most <= self.arm.velocity + 1e-6))
            if generator != "joint_position" or controller != "joint_impedance" or not allowed:
                return "invalid_argument"
            planner = Planner(self.reference.q, most, 0.9 * self.arm.acceleration, 0.9 * self.arm.jerk)
        self.reflex_reason = ()
        self.motion = Motion(generator, controller, answer, planner, torque=self.tau_d)
        self.mode = "move"
        return "motion_started"

    def stop(self) -> str:
        """End the motion, if there is one, and brake."""
        self._end("preempted")
        return "success"

    def recover(self) -> str:
        """Clear errors, unless a person must first do something."""
        if self.mode not in ("idle", "reflex"):
            return "not_possible"
        if self._outside(self.physics.sensed.q):
            return "manual"
        self.errors, self.mode = (), "idle"
        self.collisions.clear()
        return "success"

    def user_stop(self, pressed: bool) -> None:
        """Somebody presses or releases the external activation device."""
        if pressed and self.mode != "user_stopped":
            self._end("emergency")
            self.mode = "user_stopped"
        elif not pressed and self.mode == "user_stopped":
            self.mode = "reflex" if self.errors else "idle"

    def guide(self, pressed: bool) -> None:
        """Somebody presses or releases the buttons with which the arm is led by the hand."""
        if pressed and self.mode in ("idle", "move"):
            self._end("preempted")
            self.mode = "guiding"
        elif not pressed and self.mode == "guiding":
            self.mode = "idle"
            self._take_up_measured()

    def client_gone(self) -> None:
        """Nobody is there any more who could answer for a motion."""
        if self.motion is not None:
            self.motion.answer = lambda _: None
        self._end("aborted")

    # One tick.

    def advance(self, command: RobotCommand | None) -> None:
        """One millisecond; `command` is the one that came for the last state, or None."""
        motion = self.motion
        if motion is not None and not motion.begun and (command is not None or motion.waited >= _GRACE):
            motion.begun, first = True, True
        else:
            first = False
        if motion is None:
            self._settle()
        elif motion.planner is not None:
            self._plan(motion, command)
        elif motion.begun:
            self._follow(motion, command, first=first)
        else:
            motion.waited += 1
        self.tau_d = self._torque()
        sensed = self.physics.step(self.tau_d)
        self._watch(sensed)

    def _settle(self) -> None:
        if self.reference.dq.any():
            self.reference = self.generators.brake(self.reference)
            self._come_to_rest()

    def _come_to_rest(self) -> None:
        """What stands still has no derivatives either, or the next motion would begin with a jump of them."""
        if not self.reference.dq.any():
            self.reference = Reference.at_rest(self.reference.q, self.reference.pose)

    def _follow(self, motion: Motion, command: RobotCommand | None, *, first: bool) -> None:
        motion.received.append(command is not None)
        if command is None:
            motion.lost += 1
            if motion.lost >= MOST_LOST:
                self.reflex("communication_constraints_violation")
            elif motion.generator != "none":
                self.reference = self.generators.lost(self.reference)
            return
        motion.lost = 0
        if motion.generator != "none":
            advance = getattr(self.generators, motion.generator)
            following, errors = advance(self.reference, command, first=first)
            if errors:
                self.reflex(*errors)
                return
            self.reference = following
        if motion.controller == "external" and not self._take_torque(motion, command):
            return
        if command.torque_finished or command.motion_finished:
            self._finish(motion)

    def _take_torque(self, motion: Motion, command: RobotCommand) -> bool:
        tau = command.tau.copy()
        if not np.all(np.abs(tau - motion.torque) <= _TORQUE_STEP):
            self.reflex("controller_torque_discontinuity")
            return False
        motion.torque = tau
        if motion.generator == "none":  # nothing is followed, so the reference goes along with the arm
            self._take_up_measured()
        return True

    def _finish(self, motion: Motion) -> None:
        errors = self.generators.may_end(self.reference, cartesian=motion.cartesian)
        if errors and motion.controller != "external":
            self.reflex(*errors)
        else:
            self._end("success")

    def _plan(self, motion: Motion, command: RobotCommand | None) -> None:
        assert motion.planner is not None
        if command is not None and command.motion_finished:
            motion.ending = True
            motion.planner.stop()
        elif command is not None and not motion.ending:
            target = command.q.copy()
            if not (np.all(target >= self.arm.lower) and np.all(target <= self.arm.upper)):
                self.reflex("joint_motion_generator_position_limits_violation")
                return
            motion.planner.target = target
        q = motion.planner.step()
        self.reference, errors = self.generators.joints(self.reference, q, (q - self.reference.q) / DT)
        if errors:
            self.reflex(*errors)
        elif motion.ending and motion.planner.at_rest:
            self._end("success")

    def _torque(self) -> np.ndarray:
        motion = self.motion
        if self.mode == "guiding":
            return self.physics.floating()
        if motion is not None and motion.controller == "external":
            return motion.torque
        if motion is not None and motion.controller == "cartesian_impedance":
            return self.physics.cartesian_impedance(self.reference)
        return self.physics.joint_impedance(self.reference)

    def _watch(self, sensed: Sensed) -> None:
        """The reflexes of the arm's own sensors."""
        if self.mode == "guiding":
            self._take_up_measured()
        accelerating = bool(np.abs(self.reference.ddq).max() > 0.05 * self.arm.acceleration.min())
        struck = self.collisions.look(sensed, accelerating=accelerating)
        if self.motion is None:
            return
        errors = list(struck)
        if (np.abs(sensed.dq) > _FASTER * self.arm.velocity).any():
            errors.append("joint_velocity_violation")
        if self._outside(sensed.q):
            errors.append("joint_position_limits_violation")
        if (np.abs(self.tau_d) > self.arm.torque).any():
            errors.append("tau_j_range_violation")
        if self.self_collision.near(self.physics.data):
            errors.append("self_collision_avoidance_violation")
        if errors:
            self._take_up_measured()
            self.reflex(*errors)

    def _outside(self, q: np.ndarray) -> bool:
        return bool(((q < self.arm.lower - _BEYOND) | (q > self.arm.upper + _BEYOND)).any())

    def reflex(self, *errors: str) -> None:
        """Stop by ourselves, and say why."""
        self.errors = self.reflex_reason = tuple(errors)
        self._end("reflex")
        self.mode = "reflex"

    def _end(self, outcome: str) -> None:
        motion = self.motion
        if motion is None:
            return
        if motion.controller == "external":
            self._take_up_measured()
        self._come_to_rest()
        self.motion, self.mode = None, "idle"
        motion.answer(outcome)

    def _take_up_measured(self) -> None:
        """From now on follow what the arm does itself, until it has braked."""
        sensed = self.physics.sensed
        low, high = -self.arm.velocity, self.arm.velocity
        q = np.clip(sensed.q, self.arm.lower, self.arm.upper)
        following, _ = self.generators.joints(self.reference, q, np.clip(sensed.dq, low, high))
        elbow = following.elbow.copy()
        elbow[2] = 0.0
        self.reference = Reference(
            following.q, following.dq, np.zeros(7), following.pose, following.twist, np.zeros(6), elbow
        )
