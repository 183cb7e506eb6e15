"""A compiled program: a flat list of instructions over numbered slots, run on whole batches by numpy or torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from rewards.program.errors import NonFiniteReward
from rewards.program.functions import FUNCTIONS
from rewards.program.graph import Node
from robot_learn.errors import UserError
from robot_learn.scene import Array, Scene

Backend = Literal["auto", "numpy", "torch"]
Step = tuple[Callable[..., Array], int, tuple[int, ...]]  # function, slot of the result, slots of the inputs


class Code:
    """The instructions that some results need, with slots that are used again once their value is no longer needed."""

    def __init__(self, results: Sequence[Node]) -> None:
        nodes = _needed(results)
        self.reads = [node for node in nodes if node.op in ("read", "action")]
        self.constants = [node for node in nodes if node.op == "const"]
        self.body = [node for node in nodes if node.op not in ("read", "action", "const")]
        self.slots = _slots([*self.constants, *self.reads], self.body, results)
        self.size = 1 + max(self.slots.values())
        self.results = [self.slots[node.index] for node in results]

    def bind(self, xp: Any) -> list[Step]:
        """The instructions with the functions of one library."""
        steps: list[Step] = []
        for node in self.body:
            shapes = tuple(each.shape for each in node.inputs)
            function = FUNCTIONS[node.op].bind(xp, shapes, node.static)
            steps.append((function, self.slots[node.index], tuple(self.slots[each.index] for each in node.inputs)))
        return steps


def _needed(results: Sequence[Node]) -> list[Node]:
    """The results and all that they are computed from, in order of creation."""
    found: dict[int, Node] = {}
    waiting = list(results)
    while waiting:
        node = waiting.pop()
        if node.index not in found:
            found[node.index] = node
            waiting += node.inputs
    return [found[index] for index in sorted(found)]


def _slots(given: Sequence[Node], body: Sequence[Node], results: Sequence[Node]) -> dict[int, int]:
    """A slot for every node. Constants come first and keep theirs: their slots are filled before a run."""
    last_use = {each.index: at for at, node in enumerate(body) for each in node.inputs}
    keep = {node.index for node in (*given, *results)}
    slots = {node.index: slot for slot, node in enumerate(given)}
    free: list[int] = []
    size = len(slots)
    for at, node in enumerate(body):
        if free:
            slots[node.index] = free.pop()
        else:
            slots[node.index], size = size, size + 1
        done = {each.index for each in node.inputs if last_use[each.index] == at and each.index not in keep}
        free += [slots[index] for index in done]
    return slots


class CompiledReward:
    """A `robot_learn.types.RewardFn`. Pure: it reads the scene and the action and gives fresh arrays.

    The result has the dtype and the device of what the program reads (mixed dtypes: the wider one).
    """

    def __init__(
        self,
        term_names: tuple[str, ...],
        results: Sequence[Node],
        *,
        backend: Backend,
        act_dim: int,
        remake: tuple[Callable[..., CompiledReward], tuple[Any, ...]],
    ) -> None:
        self._term_names, self._backend, self._act_dim = term_names, backend, act_dim
        self._code = Code(results)  # the total, then the terms
        self._bound: dict[tuple[Any, ...], tuple[list[Step], list[Array | None]]] = {}
        self._remake = remake

    def __reduce__(self) -> tuple[Callable[..., CompiledReward], tuple[Any, ...]]:
        return self._remake

    @property
    def term_names(self) -> tuple[str, ...]:
        return self._term_names

    def __call__(self, scene: Scene, action: Array) -> Array:
        """The reward (N,) alone."""
        return self.evaluate(scene, action)[0]

    def evaluate(self, scene: Scene, action: Array, *, step: int | None = None) -> tuple[Array, Mapping[str, Array]]:
        """The reward (N,) and its named terms, each (N,), of N worlds with actions (N, act_dim).

        Raises:
            UserError: the scene or the action has another shape, library or device than promised.
            NonFiniteReward: the total or a term is infinite or NaN in some world.
        """
        library = "numpy" if isinstance(action, np.ndarray) else "torch"
        if self._backend not in ("auto", library):
            raise UserError(f"this reward was compiled for {self._backend}, came {library} arrays; use compile('auto')")
        if action.ndim != 2 or action.shape[1] != self._act_dim:
            raise UserError(f"the action has shape {tuple(action.shape)}; wanted (worlds, {self._act_dim})")
        reads = [self._read(node, scene, action, library) for node in self._code.reads]
        run = _run_numpy if library == "numpy" else _run_torch
        rows, finite = run(self, reads, action)
        if not finite:
            self._complain(rows, scene, action, step)
        return rows[0], dict(zip(self._term_names, rows[1:], strict=True))

    def _read(self, node: Node, scene: Scene, action: Array, library: str) -> Array:
        if node.op == "action":
            return action
        name, when = node.static
        array = _moment(scene, when)[name]
        if isinstance(array, np.ndarray) != (library == "numpy"):
            raise UserError(f"scene field {name!r} and the action must both be numpy arrays or both torch tensors")
        if array.shape != (len(action), *node.shape):
            came, wanted = tuple(array.shape), (len(action), *node.shape)
            raise UserError(f"scene field {name!r} has shape {came}; wanted {wanted} for {len(action)} worlds")
        return array

    def prepared(self, xp: Any, dtype: Any, device: Any) -> tuple[list[Step], list[Array | None]]:
        """Instructions, and slots with the constants filled in; made once per dtype and device."""
        key = (xp.__name__, dtype, str(device))
        if key not in self._bound:
            slots: list[Array | None] = [None] * self._code.size
            for slot, node in enumerate(self._code.constants):
                like = {} if node.kind == "bool" else {"dtype": dtype}
                slots[slot] = xp.asarray(node.value, **like, **({} if device is None else {"device": device}))
            self._bound[key] = (self._code.bind(xp), slots)
        return self._bound[key]

    def results(self, steps: list[Step], constants: list[Array | None], reads: list[Array]) -> list[Array]:
        """Run every instruction; the results, each (N,) or (1,)."""
        first = len(self._code.constants)
        slots = constants.copy()
        slots[first : first + len(reads)] = reads
        for function, out, inputs in steps:
            slots[out] = function(*[slots[each] for each in inputs])
        return [slots[each] for each in self._code.results]

    def _complain(self, rows: Array, scene: Scene, action: Array, step: int | None) -> None:
        """Name the first term in the program's order, in its first world; the total when every term is finite."""
        values = np.asarray(rows if isinstance(rows, np.ndarray) else rows.detach().cpu().numpy())
        bad = ~np.isfinite(values)
        row = next((at for at in range(1, len(values)) if bad[at].any()), 0)
        world = int(bad[row].argmax())
        shown = []
        for node in self._code.reads:
            array = action if node.op == "action" else _moment(scene, node.static[1])[node.static[0]]
            numbers = np.array2string(np.asarray(array[world].tolist()), precision=6, separator=", ", threshold=12)
            shown.append(f"{read_name(node, prefix='scene.')} = {numbers}")
        name = ("the total", *self._term_names)[row]
        if step is None and scene.steps is not None:
            step = int(scene.steps[world])
        raise NonFiniteReward(name, world, float(values[row, world]), "; ".join(shown) or "constants alone", step)


def read_name(node: Node, *, prefix: str = "") -> str:
    """ "cube.position", "initial.cube.position" or "action"."""
    if node.op == "action":
        return "action"
    name, when = node.static
    return prefix + (name if when == "now" else f"{when}.{name}")


def _moment(scene: Scene, when: str) -> Scene:
    return scene if when == "now" else scene.initial if when == "initial" else scene.previous


def _run_numpy(reward: CompiledReward, reads: list[Array], action: np.ndarray) -> tuple[np.ndarray, bool]:
    kinds = {array.dtype for array in reads} or {action.dtype}
    dtype = kinds.pop() if len(kinds) == 1 else np.result_type(*kinds)
    if dtype.kind != "f":
        dtype = np.dtype(np.float64)
    steps, constants = reward.prepared(np, dtype, None)
    # Batch last; only a vector has to be turned, and it is turned into a copy that stays in the cache.
    turned = [np.ascontiguousarray(array.T if array.ndim == 2 else np.moveaxis(array, 0, -1), dtype) for array in reads]
    rows = np.empty((len(reward.term_names) + 1, len(action)), dtype)
    with np.errstate(all="ignore"):
        for row, result in zip(rows, reward.results(steps, constants, turned), strict=True):
            row[:] = result
    return rows, bool(np.isfinite(rows).all())


def _run_torch(reward: CompiledReward, reads: list[Array], action: Any) -> tuple[Any, bool]:
    import torch  # so that numpy's users do not wait for it

    dtype = None
    for array in reads or [action]:
        dtype = array.dtype if dtype is None else torch.promote_types(dtype, array.dtype)
    dtype = dtype if dtype is not None and dtype.is_floating_point else torch.get_default_dtype()
    steps, constants = reward.prepared(torch, dtype, action.device)
    turned = [array.to(dtype).movedim(0, -1).contiguous() for array in reads]
    results = reward.results(steps, constants, turned)
    rows = torch.stack([result.expand(len(action)) for result in results])
    return rows, bool(torch.isfinite(rows).all())
