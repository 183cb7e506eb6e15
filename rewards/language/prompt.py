"""The prompt of Text2Reward, generated from a task's own description and the language's own documentation.

Text2Reward (Xie et al., ICLR 2024) describes an environment to the model as compact Python class stubs. Here they are
generated from the scene schema, so no field can be advertised that does not exist. The prompt holds neither the success
criterion nor any reward that people wrote for the task. Few-shot, solved examples of other tasks stand before all else
in the user's message, which is otherwise the same to the letter.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rewards.language.examples import Example
from rewards.models.messages import Message
from robot_learn.errors import UserError
from robot_learn.scene import Field
from robot_learn.types import Task

_SYSTEM = """\
You write dense reward functions for reinforcement learning in robotics. Your reward is all that the robot learns from:
a policy network is trained from scratch with PPO or SAC for about one million control steps, with no demonstrations,
and is then judged by a hidden test of whether the task was done. You get one try and see no training result, so write
a reward that is certain to be learned rather than one that is elegant.

# What makes a reward learnable

1. Reason in coordinates before you write. From the fields and their meaning work out: which object must move, along
   which axis and in which direction; which point of the robot must touch which point of the object; from which side it
   must come so that its motion pushes, pulls, turns or lifts the object the right way; what is in between.
2. Build it from stages, e.g. reach, engage (get into the right pose, touch or grasp), move the object, finish. Within a
   stage the reward rises strictly with every bit of progress, from any state that exploration can come to. Exploration
   starts as random motion: the first stage must tell a better motion from a worse one right from the initial state.
   Three to five terms are enough for most tasks; each further one is one more slope that can point the wrong way.
3. A later stage never pays less than an earlier one. The surest way is a sum in which earlier terms stay paid while
   later ones are added. Where the robot has to give up an earlier term to go on (let go, back off, go around), pay that
   term in full from the moment the later stage has begun.
4. Weigh the stages so that the task is where the reward is: progress of the object itself pays several times what can
   be had by only reaching for it. Ask of your reward: what is the laziest behaviour that still collects half of it for
   a whole episode (standing still, hovering next to the object, pressing against it, going to and fro)? If there is
   one, change the weights.
5. Measure progress on the object: how far it has come from `scene.initial` towards its goal, as a fraction of the
   whole way. The robot's position does not say whether the object moved. Give this term no tight gate: a condition
   that is almost never true during exploration hides everything behind it. Where a gate is needed against cheating,
   make it smooth and wide: random motion hardly ever stays within two centimetres of anything.
6. Shape distances so that the slope vanishes nowhere in the workspace and is still felt in the last centimetre: e.g. a
   wide part (linear in d, or 1 - tanh(d / initial distance)) plus a narrow part (1 - tanh(d / a few centimetres)).
   exp(-k * d) with a large k alone is flat far away and teaches nothing there.
7. Keep terms bounded and of similar scale: each stage within [0, 1] times its weight, the whole within about 10 per
   step. The learner normalises the scale of the sum, not the balance within it.
8. The wanted final state pays the most per step, clearly more than the best state short of it, and keeps paying while
   it lasts: rewards are summed over all steps, so being there early and staying is then the best policy. Do not end the
   progress term at the first sign of success: you do not know the threshold of the test, so pay for going all the way
   to the goal, within tolerances tighter than you think are needed.
9. Reward states, not events that happen once, and do not pay again and again for something that can be undone.
10. Where an episode can end early because of a failure (a fall), a step must be worth more than no step: keep the
    reward of ordinary states positive. Tasks without an end state (keep moving, keep a pose) have one stage: pay for
    the rate of progress in the wanted direction, without an upper bound within reach, and for staying fit to go on.
11. Penalties on actions or speed stay within one percent of the whole, or are left out: early on they teach the robot
    to do nothing.
12. Heed the description of each field: its frame, its unit, which point it is, whether it ever changes. Guard divisions
    against zero. Prefer lengths measured in the scene (initial distances) to guessed ones. Where you must guess: a
    robot arm works within about half a metre, and contacts and grasps are a matter of one or two centimetres.

# The language

{reference}
"""

_USER = """\
# Task

{instruction}

# What your reward can read

{schema}

# Timing

One step is {control_dt:g} s. An episode lasts at most {max_episode_steps} steps, {seconds:g} s. `reward` is called
after each step, with the scene as it is then and the action that led there; the rewards of the steps are summed.

# Answer

First reason in brief, at most 20 lines: the geometry of the task (points, axes, directions, sides), the stages, what
each of them pays in the initial state, half-way and at the end, and the laziest way to cheat. Then give exactly one
fenced block, ```python, with the whole program: `def reward(scene, action)`, each term under a telling name. Nothing
after it.
"""

_EXAMPLES = """\
# Solved examples

Solved before: {count}, each with the reward, in the same language, by which a robot learned it. Take from them what
works: how they describe the way to the object, measure its progress, and weigh the two. Their scenes are not yours:
your own task, and what your reward can read, stand further down.
"""

_EXAMPLE = """\
## Example {number}: {instruction}

{stubs}

A policy trained on it for {steps:,} control steps passed its hidden test in {successes} of {episodes} episodes:

```python
{program}
```
"""

_HEADING = re.compile(r"^## Example \d+: (.*)$", re.MULTILINE)
_FENCED = re.compile(r"^```python\n.*?^```$", re.MULTILINE | re.DOTALL)


def build_prompt(task: Task, reference: str, examples: Sequence[Example] = ()) -> tuple[Message, ...]:
    """A system and a user message that ask a language model for a task's reward program.

    Args:
        task: what is to be done, and in what world.
        reference: the documentation of the reward language, `rewards.program.language_reference()`.
        examples: solved tasks to learn from; without any the prompt is zero-shot.

    Raises:
        UserError: the task itself is among the examples.
    """
    if any(example.task == task.name for example in examples):
        raise UserError(f"{task.name!r} is no example for itself: leave it out")
    user = _USER.format(
        instruction=task.instruction.strip(),
        schema=schema_text(task),
        control_dt=task.control_dt,
        max_episode_steps=task.max_episode_steps,
        seconds=round(task.max_episode_steps * task.control_dt, 3),
    )
    if examples:
        user = f"{_solved(task, examples)}\n{user}"
    return Message("system", _SYSTEM.format(reference=reference.strip())), Message("user", user)


def examples_in(messages: Sequence[Message]) -> tuple[str, ...]:
    """The instructions of the solved examples that a conversation began with; none when it was zero-shot."""
    text = next((message.text for message in messages if message.role == "user"), "")
    section, task, _ = text.rpartition("\n# Task\n")
    return tuple(_HEADING.findall(_FENCED.sub("", section))) if task and section.startswith("# Solved") else ()


def schema_text(task: Task) -> str:
    """The scene and the action of a task as a language model sees them: class stubs, one commented line per field."""
    groups = task.schema.groups()
    lines = ["```python"]
    for group, fields in groups.items():
        lines += [f"class {_class_name(group)}:", *(_field_line(field) for field in fields), ""]
    lines.append("class Scene:")
    lines += [f"    {group}: {_class_name(group)}" for group in groups]
    lines += [
        "    initial: Scene  # the same fields as they were when the episode began, e.g. "
        f"scene.initial.{task.schema.fields[0].name}",
        "    previous: Scene  # the same fields one step ago",
        "",
        f"action: Array[{task.act_dim}]  # what the policy commanded for this step",
    ]
    for index, part in enumerate(task.action):
        lines.append(f"    # action[{index}]: {part.name}, {part.low:g} to {part.high:g}: {part.meaning}")
    return "\n".join([*lines, "```"])


def _solved(task: Task, examples: Sequence[Example]) -> str:
    """The section of the examples."""
    count = f"{len(examples)} other task{'s' if len(examples) > 1 else ''}"
    own = _blocks(schema_text(task))
    shown = [
        _EXAMPLE.format(
            number=number,
            instruction=" ".join(example.instruction.split()),
            stubs=_new_stubs(_blocks(example.schema), own),
            steps=example.measured.steps,
            successes=example.measured.successes,
            episodes=example.measured.episodes,
            program=example.program.strip("\n"),
        )
        for number, example in enumerate(examples, start=1)
    ]
    return "\n".join([_EXAMPLES.format(count=count), *shown])


def _new_stubs(blocks: Sequence[str], own: Sequence[str]) -> str:
    """The class stubs of an example's scene, less those that its scene shares with that of the task."""
    shared = [block.split(":")[0].removeprefix("class ") for block in blocks if block in own]
    new = [block for block in blocks if block not in own]
    if shared:
        new.insert(0, f"# as in your task: {', '.join(shared)}")
    return "\n\n".join(["```python\n" + new[0], *new[1:]]) + "\n```"


def _blocks(schema: str) -> list[str]:
    """The classes of a scene's groups, and the action; not the class `Scene`, which tells nothing more."""
    body = schema.removeprefix("```python\n").removesuffix("\n```")
    return [block for block in body.split("\n\n") if not block.startswith("class Scene:")]


def _field_line(field: Field) -> str:
    """E.g. "    handle_position: Array[3]  # [m] in world frame; centre of the handle"."""
    quantity = field.name.partition(".")[2]
    kind = f"Array[{', '.join(str(size) for size in field.shape)}]" if field.shape else "float"
    unit = "[no unit]" if field.unit == "1" else f"[{field.unit}]"
    frame = f" in {field.frame} frame" if field.frame else ""
    return f"    {quantity}: {kind}  # {unit}{frame}; {field.meaning}"


def _class_name(group: str) -> str:
    """`DrawerState` for "drawer": a name that neither `Scene` nor a group can have."""
    return "".join(part[:1].upper() + part[1:] for part in group.split("_")) + "State"
