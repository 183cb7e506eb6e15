"""N MuJoCo worlds in one process, stepped by threads, with one model and one data a thread.

MuJoCo releases the interpreter lock while it steps, so plain threads fill all cores; where a step is so short that they
mostly wait for that lock, one does it all. A world is only its full
integration state (solver warm start included, so that it goes on exactly as a single environment does), the places of
its bodies and what was read after its last step; it is loaded into its thread's model and data, stepped there, and
taken out again. So the caches hold one model instead of N of them, each of 20 MB in Meta-World.
"""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property

import mujoco
import numpy as np

from sims.parameters import Fitting, field
from sims.rendering import Camera, Renderer

STATE = int(mujoco.mjtState.mjSTATE_INTEGRATION)  # everything that the next step depends on, warm start included

Work = Callable[[int, int], None]  # (seat, index): act on the seat's model and data, where world `index` is loaded
Arrays = dict[str, np.ndarray]


def thread_count(num_worlds: int, threads: int | None) -> int:
    """How many threads to use: those asked for, else one a core; no more than there are worlds."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    return max(1, min(threads or cores, num_worlds))


class Crew:
    """Finds out by the clock whether many threads are quicker than one; what they do is the same to the bit.

    Each is tried for some runs, and the quickest of these counts, which a busy machine disturbs least. After `LASTS`
    runs it is asked again, for the load of the machine changes.
    """

    TRIALS, LASTS = 4, 2000

    def __init__(self, threads: int) -> None:
        self._sizes = (threads, 1)
        self._runs, self._quickest = 0, dict.fromkeys(self._sizes, np.inf)

    @property
    def size(self) -> int:
        """How many threads the next run should use."""
        if self._runs < self.TRIALS * len(self._sizes):
            return self._sizes[self._runs % len(self._sizes)]
        return min(self._sizes, key=lambda size: self._quickest[size])

    def timed(self, size: int, seconds: float) -> None:
        """A run with `size` threads took so long."""
        if self._runs == self.LASTS:
            self._runs, self._quickest = 0, dict.fromkeys(self._sizes, np.inf)
        self._runs += 1
        self._quickest[size] = min(self._quickest[size], seconds)


class MujocoWorlds:
    """The engine under a batch: seats (a model and a data a thread), worlds as rows of arrays, reads of all at once.

    Args:
        models: alike, one for each thread that may work; they are written to where worlds differ in `placed`.
        num_worlds: N.
        kept: arrays of `MjData` to read of every world after every piece of work, e.g. "xpos".
        placed: arrays of `MjModel` that differ from world to world, e.g. "body_pos". Those of the parameters that
            `set_parameters` sets are added by itself.
    """

    def __init__(
        self, models: Sequence[mujoco.MjModel], num_worlds: int, *, kept: Sequence[str], placed: Sequence[str] = ()
    ) -> None:
        self.models, self.num_worlds = list(models), num_worlds
        self.datas = [mujoco.MjData(model) for model in self.models]
        self._pool = ThreadPoolExecutor(len(self.models)) if len(self.models) > 1 else None
        self._crew = Crew(len(self.models))
        self._read = [[(name, getattr(data, name)) for name in kept] for data in self.datas]
        self._place = [[(name, field(model, name)) for name in placed] for model in self.models]
        self._unplaced = {name: place.copy() for name, place in self._place[0]}
        self._fitted: set[str] = set()  # arrays that a parameter of some world has touched
        # Rows are replaced, never written: whoever has read a kept array may keep it.
        self._kept: Arrays = {name: np.tile(value, (num_worlds,) + (1,) * value.ndim) for name, value in self._read[0]}
        self._placed: Arrays = {
            name: np.tile(value, (num_worlds,) + (1,) * value.ndim) for name, value in self._place[0]
        }
        self._states = np.tile(self._state(0), (num_worlds, 1))
        self._renderers: dict[tuple[int, int, bool], Renderer] = {}

    def _state(self, seat: int) -> np.ndarray:
        state = np.empty(mujoco.mj_stateSize(self.models[seat], STATE))
        mujoco.mj_getState(self.models[seat], self.datas[seat], state, STATE)
        return state

    def load(self, seat: int, index: int) -> None:
        """Put a world on a seat; derived quantities (positions, contacts) there still belong to the one before."""
        for name, place in self._place[seat]:
            place[:] = self._placed[name][index]
        mujoco.mj_setState(self.models[seat], self.datas[seat], self._states[index], STATE)

    def run(self, work: Work, indices: Sequence[int] | None = None, *, places: bool = False) -> None:
        """Load every world (or some), let `work` act on it and keep what it left; an error in one is raised here.

        `work` leaves the kept arrays of its seat's data up to date. With `places` it may also have moved bodies.
        """
        everyone = indices is None
        size = self._crew.size
        chunks = np.array_split(np.arange(self.num_worlds) if indices is None else indices, size)
        fresh = {name: np.empty_like(value) if everyone else value.copy() for name, value in self._kept.items()}

        def serve(seat: int) -> None:
            for index in map(int, chunks[seat]):
                self.load(seat, index)
                work(seat, index)
                mujoco.mj_getState(self.models[seat], self.datas[seat], self._states[index], STATE)
                for name, value in self._read[seat]:
                    fresh[name][index] = value
                for name, place in self._place[seat] if places else ():
                    self._placed[name][index] = place

        began = time.perf_counter()
        if self._pool is None or size == 1:
            serve(0)
        else:
            list(self._pool.map(serve, range(size)))
        if everyone:
            self._crew.timed(size, time.perf_counter() - began)
        self._kept = fresh

    def gather(self, name: str) -> np.ndarray:
        """`data.<name>` of all worlds, (N, ...), one of the kept ones. It is not written again."""
        return self._kept[name]

    @contextmanager
    def visit(self, index: int) -> Iterator[tuple[mujoco.MjModel, mujoco.MjData]]:
        """One world to look at, with positions, cameras and lights up to date; changes are lost."""
        model, data = self.models[0], self.datas[0]
        self.load(0, index)
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_camlight(model, data)
        yield model, data

    def picture(self, index: int, view: Camera, width: int, height: int, *, light: bool = False) -> np.ndarray:
        """What a camera sees of one world, (height, width, 3) uint8; one renderer a size is kept."""
        kind = (width, height, light)
        if kind not in self._renderers:
            self._renderers[kind] = Renderer(self.models[0], width, height, light=light)
        with self.visit(index) as (_, data):
            return self._renderers[kind].render(data, view)

    def pictures(self, view: Camera, width: int, height: int, indices: Sequence[int] | None = None) -> np.ndarray:
        """What a camera sees of every world, or of some, (N, height, width, 3) uint8, drawn with light geometry."""
        chosen = range(self.num_worlds) if indices is None else indices
        seen = np.empty((len(chosen), height, width, 3), dtype=np.uint8)
        for row, index in enumerate(chosen):
            seen[row] = self.picture(index, view, width, height, light=True)
        return seen

    @cached_property
    def _fitting(self) -> Fitting:
        return Fitting(self.models[0], self._unplaced)

    @property
    def settable(self) -> tuple[str, ...]:
        """The physical parameters that worlds may differ in."""
        return self._fitting.settable

    def set_parameters(self, index: int, factors: Mapping[str, float]) -> None:
        """Give one world these parameters, as factors of the nominal; those not named are nominal again.

        It takes effect with the world's next step or reset.

        Raises:
            UserError: the model has no such parameter, or a factor is impossible.
        """
        arrays = self._fitting.arrays(factors)
        self._differ_in(arrays)
        for name in self._fitted:
            self._placed[name][index] = arrays.get(name, self._fitting.nominal[name])

    def _differ_in(self, names: Iterable[str]) -> None:
        """From now on each world has rows of its own of these arrays."""
        fresh = sorted(set(names) - self._fitted)
        if not fresh:
            return
        # Threads that shared one model, as long as nothing in it changed, now need one each.
        self.models[1:] = [copy.copy(model) if model is self.models[0] else model for model in self.models[1:]]
        self._fitted |= set(fresh)
        for name in fresh:
            nominal = self._fitting.nominal[name]
            self._placed[name] = np.tile(nominal, (self.num_worlds,) + (1,) * nominal.ndim)
        self._place = [[(name, field(model, name)) for name in self._placed] for model in self.models]

    def snapshot(self, index: int) -> tuple[np.ndarray, Arrays, Arrays]:
        """One world: its state, what was read of it, and its places and parameters."""
        kept, placed = ({name: value[index].copy() for name, value in of.items()} for of in (self._kept, self._placed))
        return self._states[index].copy(), kept, placed

    def restore(self, index: int, snapshot: tuple[np.ndarray, Arrays, Arrays]) -> None:
        """Put a world where `snapshot` found it, or another world."""
        self._states[index], kept, placed = snapshot
        self._kept = {name: value.copy() for name, value in self._kept.items()}
        for name, row in kept.items():
            self._kept[name][index] = row
        self._differ_in(placed.keys() - self._placed.keys())
        for name, rows in self._placed.items():
            rows[index] = placed[name] if name in placed else self._fitting.nominal[name]

    def close(self) -> None:
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers.clear()
        if self._pool is not None:
            self._pool.shutdown()
