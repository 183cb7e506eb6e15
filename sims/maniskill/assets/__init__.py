"""Articulated objects made of primitive shapes: drawn from a random generator, built into a scene, nothing downloaded.

Each module is one kind of object: a frozen dataclass of dimensions, `draw(rng)` that draws one, and `plan(dimensions)`
that says of which links it consists. `sims.maniskill.assets.plan.build` builds a plan into a ManiSkill scene.
"""
