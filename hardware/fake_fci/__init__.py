"""A controller that speaks the robot's wire protocol, so that unmodified clients drive a simulated arm."""

from hardware.fake_fci.faults import Fault
from hardware.fake_fci.remote import Remote
from hardware.fake_fci.server import FakeArm

__all__ = ["FakeArm", "Fault", "Remote"]
