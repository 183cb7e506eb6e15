"""Worlds of the Franka's tasks for an arm to stand in, and crews that act in them."""

from __future__ import annotations

import dataclasses
import functools
import os
import socket
from dataclasses import dataclass

import mujoco
import numpy as np
import pytest

import sims
from robot_learn.deployment.bridge import Bridge
from robot_learn.deployment.loop import Crew
from robot_learn.deployment.objects import Truth
from robot_learn.deployment.steering import Chunks, Steering
from sims import franka
from sims.mujoco_task import MujocoTask
from tests.robot_learn.deployment.stand_in import StandIn


def free_address() -> str:
    """An address of the loopback whose robot and gripper ports are free; the ports are compiled into the clients."""
    for attempt in range(50):
        number = os.getpid() * 53 + attempt
        host = f"127.{100 + number // 62500 % 100}.{1 + number // 250 % 250}.{1 + number % 250}"
        try:
            for port in (1337, 1338):
                with socket.socket() as tried:
                    tried.bind((host, port))
        except OSError:
            continue
        return host
    pytest.fail("no free address on the loopback")


@dataclass
class Stage:
    """A task, a stand-in arm in its world, and a crew with the task's script."""

    arm: StandIn
    crew: Crew
    data: mujoco.MjData


@functools.cache
def quick(name: str) -> MujocoTask:
    """A task whose model is compiled once for all tests, which do not write to it."""
    definition = franka.definition(name)
    model = definition.model()
    return dataclasses.replace(definition, model=lambda: model)


def stage(name: str, seed: int = 0) -> Stage:
    definition = quick(name)
    model = definition.model()
    data = mujoco.MjData(model)
    definition.start(model, data, np.random.default_rng(seed))
    arm = StandIn(model, data)
    bridge = Bridge(definition, Truth(model, data))
    script = sims.scripted(f"franka/{name}")
    crew = Crew(bridge, Steering(franka.control(name)), Chunks(script), clock=arm.now)
    return Stage(arm, crew, data)


@pytest.fixture
def reach() -> Stage:
    return stage("reach")
