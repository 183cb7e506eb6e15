"""Addresses on the loopback that nobody else uses, and fake arms on them."""

from __future__ import annotations

import copy
import functools
import itertools
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import mujoco
import pytest

from hardware.fake_fci import FakeArm
from sims.franka.physical import alone
from tests.hardware.fake_fci.client import Client

_numbers = itertools.count()


def free_address() -> str:
    """An address of the loopback whose ports are free: by process, and by turns within it."""
    while True:
        turn = next(_numbers)
        host = f"127.{64 + os.getpid() // 250 % 64}.{os.getpid() % 250}.{1 + turn % 250}"
        try:
            for port in (1337, 1338, 1339):
                with socket.socket() as trial:
                    trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    trial.bind((host, port))
        except OSError:
            continue
        return host


@functools.cache
def _compiled(kind: str) -> mujoco.MjModel:
    return alone(kind)


def table(kind: str = "fr3") -> mujoco.MjModel:
    """An arm on an empty table, of one's own."""
    return copy.copy(_compiled(kind))


@pytest.fixture
def address() -> str:
    return free_address()


Start = Callable[..., FakeArm]
Connect = Callable[..., Client]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts fake arms, which end with the test."""
    with ExitStack() as stack:

        def make(**settings: Any) -> FakeArm:
            model = settings.pop("model", None) or table(settings.pop("kind", "fr3"))
            return stack.enter_context(FakeArm(model, settings.pop("data", None), host=free_address(), **settings))

        yield make


@pytest.fixture
def connect(start: Start) -> Iterator[Connect]:
    """Connects plain clients to a new arm (settings as of `FakeArm`), or to one that is given."""
    with ExitStack() as stack:

        def make(version: int = 10, arm: FakeArm | None = None, **settings: Any) -> Client:
            arm = arm or start(version=version, **settings)
            client = stack.enter_context(Client(arm.address, version))
            client.arm = arm  # type: ignore[attr-defined]
            client.state()
            return client

        yield make
