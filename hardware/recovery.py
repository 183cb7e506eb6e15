"""Which errors of an arm may be cleared, and by whom.

A loss of communication may be cleared unseen, once; whatever else stopped the arm may have hurt somebody or shows a
fault, so that a person looks first. A user stop is not cleared by software at all: who pressed the device releases it.
"""

from __future__ import annotations

from dataclasses import dataclass

from hardware.arm import ArmError, State

COMMUNICATION = "communication_constraints_violation"
NO_COMMAND = "no_command"  # not libfranka's: nobody commanded the arm any more, so that the guard ended the motion

# By libfranka's names: what happened and what to do. A name that is not here says enough by itself.
_ADVICE = {
    COMMUNICATION: "commands came late: check network and load (robot-learn deploy --check)",
    "joint_reflex": "the arm touched something, felt in a joint: look what it was, clear the way",
    "cartesian_reflex": "the arm touched something, felt at the hand: look what it was, clear the way",
    "self_collision_avoidance_violation": "the arm was about to hit itself: guide it by hand to an open posture",
    "joint_position_limits_violation": "a joint is past its limit: guide it back by hand, in Desk",
    "power_limit_violation": "the motion wanted too much power: lower the speed or the load",
    "tau_j_range_violation": "a torque sensor is out of its range: check the load that is set, restart Control",
}
_USER_STOP = "release the external activation device, then start again"


def advice(state: State, errors: tuple[str, ...]) -> str:
    """What a person does about it, in a sentence; empty when nothing is known."""
    if state == "user_stopped":
        return _USER_STOP
    return "; ".join(_ADVICE[name] for name in errors if name in _ADVICE)


@dataclass
class Recovery:
    """What one arm has been allowed since it was connected."""

    communication: int = 0  # losses that were cleared unseen

    def may_clear_unseen(self, state: State, errors: tuple[str, ...]) -> bool:
        """Whether these errors may be cleared without a person."""
        return state == "reflex" and errors == (COMMUNICATION,) and self.communication == 0

    def error(self, message: str, state: State, errors: tuple[str, ...]) -> ArmError:
        """The error to raise for an arm that stopped by itself."""
        named = f"{message}: {', '.join(errors)}" if errors else message
        recoverable = self.may_clear_unseen(state, errors)
        return ArmError(named, errors, recoverable=recoverable, advice=advice(state, errors))

    def allow(self, state: State, errors: tuple[str, ...], by_person: bool) -> bool:
        """Whether there is something to clear now. To be asked before each clearing: it counts.

        Raises:
            ArmError: a person must do something first.
        """
        if state == "user_stopped":
            raise ArmError("the arm is stopped by a person and is not released by software", errors, advice=_USER_STOP)
        if state == "guiding":
            raise ArmError("a person is guiding the arm", errors, advice="let go of its buttons first")
        if state != "reflex" and not errors:
            return False
        if by_person:
            return True
        if not self.may_clear_unseen(state, errors):
            raise self.error("a person must look first, then recover(by_person=True)", state, errors)
        self.communication += 1
        return True
