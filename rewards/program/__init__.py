"""The reward language: model-written programs, checked against a task's scene and compiled to batched functions."""

from rewards.program.errors import Diagnostic, NonFiniteReward, ProgramError
from rewards.program.machine import CompiledReward
from rewards.program.program import Program, check
from rewards.program.reference import language_reference

__all__ = ["CompiledReward", "Diagnostic", "NonFiniteReward", "Program", "ProgramError", "check", "language_reference"]
