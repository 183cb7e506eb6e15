"""CasADi functions called on buffers of their own: a call costs a few microseconds instead of tens."""

from __future__ import annotations

from typing import Any

import casadi as ca
import numpy as np


class Compiled:
    """A function of dense inputs; matrices go in and come out as arrays of the function's shapes.

    The buffers make it one that only one thread may call.
    """

    def __init__(self, function: ca.Function) -> None:
        self.function = function
        buffer: Any
        buffer, self._call = function.buffer()
        self._buffer = buffer  # or the memory that the call reads would go
        self._inputs = [np.zeros(function.nnz_in(i)) for i in range(function.n_in())]
        self._outputs = [np.zeros(function.nnz_out(i)) for i in range(function.n_out())]
        for i, array in enumerate(self._inputs):
            buffer.set_arg(i, array.data)
        for i, array in enumerate(self._outputs):
            buffer.set_res(i, array.data)
        self._shapes = [function.size_out(i) for i in range(function.n_out())]

    def __call__(self, *inputs: np.ndarray | float) -> list[np.ndarray]:
        """Copies of all outputs: a column is (n,), a matrix (rows, columns)."""
        for mine, given in zip(self._inputs, inputs, strict=True):
            mine[:] = given.ravel(order="F") if isinstance(given, np.ndarray) else given
        self._call()
        return [
            array.copy() if shape[1] == 1 else array.reshape(shape, order="F").copy()
            for array, shape in zip(self._outputs, self._shapes, strict=True)
        ]
