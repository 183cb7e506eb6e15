"""Correct a robot while it moves: the system on its stage, the plan and the region in 3-D, what is kept of it."""
