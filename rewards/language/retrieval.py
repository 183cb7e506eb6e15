"""Which solved tasks are like a new one: the cosine of two instructions, and of two scenes, in equal parts.

Text2Reward (Xie et al., ICLR 2024) retrieves by the instruction alone. The scene decides where instructions are silent:
two tasks with a handle and an opening want the same kind of reward, whatever is opened.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from rewards.language.embedding import Embedder
from rewards.language.examples import Example
from rewards.language.prompt import schema_text
from robot_learn.errors import UserError
from robot_learn.types import Task

# On the tasks of Meta-World any share from a fifth to four fifths finds neighbours of the same kind equally often.
INSTRUCTION_WEIGHT = 0.5
# Cosines are compared to four decimals, so that the order does not hang on how a machine rounds.
_DECIMALS = 4

_STUB = re.compile(r"^ +(?P<name>\w+)?(?:: [^#]*)?# (?P<meaning>.*)$")


@dataclass(frozen=True)
class Neighbour:
    """An example and how like the task it is; all three at most 1."""

    example: Example
    similarity: float
    instruction: float  # cosine
    scene: float  # cosine


def retrieve(task: Task, examples: Iterable[Example], count: int, embedder: Embedder) -> tuple[Example, ...]:
    """The `count` examples that are most like a task, the most similar first; never one of the task itself.

    Raises:
        UserError: there are not that many.
    """
    others = neighbours(task, examples, embedder)
    if count > len(others):
        raise UserError(f"{count} examples wanted for {task.name!r}: the libraries have {len(others)} of other tasks")
    return tuple(found.example for found in others[:count])


def neighbours(task: Task, examples: Iterable[Example], embedder: Embedder) -> list[Neighbour]:
    """All examples of other tasks, the most similar first; of equals the first by name."""
    schema = schema_text(task)
    others = [example for example in examples if not _same(example, task, schema)]
    if not others:
        return []
    instructions = _unit(embedder.embed([task.instruction, *(example.instruction for example in others)]))
    scenes = _unit(embed_scenes([schema, *(example.schema for example in others)], embedder))
    found = []
    for example, alike, scene in zip(others, instructions[1:] @ instructions[0], scenes[1:] @ scenes[0], strict=True):
        similarity = INSTRUCTION_WEIGHT * alike + (1.0 - INSTRUCTION_WEIGHT) * scene
        found.append(Neighbour(example, round(float(similarity), _DECIMALS), float(alike), float(scene)))
    return sorted(found, key=lambda one: (-one.similarity, one.example.task))


def embed_scenes(schemas: Sequence[str], embedder: Embedder) -> np.ndarray:
    """A row a scene, (n, d): the mean over its groups of the mean over each group's quantities.

    By its parts, because a model reads the beginning of a long text only; by groups, because a robot with many
    quantities would outweigh the object that the task is about.
    """
    scenes = [_meanings(schema) for schema in schemas]
    texts = list(dict.fromkeys(text for scene in scenes for group in scene for text in group))
    rows = dict(zip(texts, _unit(embedder.embed(texts)), strict=True))
    means = [_unit(np.array([np.mean([rows[text] for text in group], axis=0) for group in scene])) for scene in scenes]
    return np.array([mean.mean(axis=0) for mean in means])


def _meanings(schema: str) -> list[list[str]]:
    """Of each group, and of the action, a line a quantity: "Drawer opening: [m]; how far the drawer is out; ..."."""
    groups: dict[str, list[str]] = {}
    group = ""
    for line in schema.splitlines():
        if line and not line.startswith((" ", "`")):
            group = re.sub(r"^class |(State)?:.*$", "", line)
        match = _STUB.match(line)
        if match and group != "Scene":
            groups.setdefault(group, []).append(f"{group} {match['name'] or ''}: {match['meaning']}")
    return list(groups.values())


def _same(example: Example, task: Task, schema: str) -> bool:
    """Also under another name: what is asked, in the same scene, is the same task."""
    return example.task == task.name or (example.instruction, example.schema) == (task.instruction, schema)


def _unit(rows: np.ndarray) -> np.ndarray:
    """Each row scaled to length 1."""
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-12))
