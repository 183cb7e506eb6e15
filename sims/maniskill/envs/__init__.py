"""ManiSkill environments of our own. Importing this package registers them with ManiSkill and Gymnasium."""

from __future__ import annotations

from sims.maniskill.envs import lift_cube, open_cabinet, push_chair, turn_faucet

__all__ = ["lift_cube", "open_cabinet", "push_chair", "turn_faucet"]
