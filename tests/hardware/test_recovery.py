from __future__ import annotations

import pickle

import pytest

from hardware.arm import ArmError
from hardware.recovery import COMMUNICATION, Recovery


def test_a_loss_of_communication_is_cleared_unseen_once() -> None:
    recovery = Recovery()
    assert recovery.error("stopped", "reflex", (COMMUNICATION,)).recoverable
    assert recovery.allow("reflex", (COMMUNICATION,), by_person=False)
    assert not recovery.error("stopped", "reflex", (COMMUNICATION,)).recoverable
    with pytest.raises(ArmError, match="a person must look first"):
        recovery.allow("reflex", (COMMUNICATION,), by_person=False)
    assert recovery.allow("reflex", (COMMUNICATION,), by_person=True)


@pytest.mark.parametrize(
    "errors",
    [("joint_reflex",), ("cartesian_reflex",), (COMMUNICATION, "cartesian_reflex"), ("power_limit_violation",), ()],
)
def test_anything_else_wants_a_person(errors: tuple[str, ...]) -> None:
    recovery = Recovery()
    with pytest.raises(ArmError, match=r"by_person=True") as raised:
        recovery.allow("reflex", errors, by_person=False)
    assert not raised.value.recoverable
    assert raised.value.errors == errors
    assert recovery.allow("reflex", errors, by_person=True)


@pytest.mark.parametrize("by_person", [False, True])
def test_a_user_stop_and_guiding_are_never_ended_by_software(by_person: bool) -> None:
    with pytest.raises(ArmError, match="release the external activation device"):
        Recovery().allow("user_stopped", (), by_person)
    with pytest.raises(ArmError, match="let go of its buttons"):
        Recovery().allow("guiding", (), by_person)


def test_where_there_is_no_error_there_is_nothing_to_clear() -> None:
    recovery = Recovery()
    assert not recovery.allow("idle", (), by_person=False)
    assert recovery.communication == 0


def test_an_error_of_the_arm_survives_the_way_between_processes() -> None:
    error = Recovery().error("stopped", "reflex", ("joint_reflex",))
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.errors, copy.recoverable, copy.advice) == (
        str(error),
        error.errors,
        error.recoverable,
        error.advice,
    )
