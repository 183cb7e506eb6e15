"""A trained policy on an arm: what it sees, what it may send, what stops it, and what is kept of it.

`loop.run_episode` is the heart; `bridge` gives it the task's scene, `steering` turns actions into joint velocities as
in simulation, `record` keeps all that happens, `outcome` says why it ended and what to do.
"""
