"""The programs of a search: written from the task's prompt, or by revising the best one in its own conversation."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rewards.language import (
    Feedback,
    NotWrittenError,
    WrittenReward,
    build_prompt,
    converse,
    load_conversation,
    revision_request,
)
from rewards.models import Budget, Client, Message, Reply, Request, connect
from rewards.models.limits import Budgeted
from rewards.program import Program, check, language_reference
from robot_learn import loops, runs
from robot_learn.errors import UserError
from robot_learn.examples import few_shot_prompt
from robot_learn.feedback import feedback_of
from robot_learn.runs import Run
from robot_learn.search.state import CANDIDATES, Candidate, Origin, Search
from robot_learn.train_config import TrainConfig, preset
from robot_learn.types import Task

REPLIES, PROMPT = "replies", "prompt.json"
KEPT = (runs.PROMPT, runs.REPLY, "conversation.json", "provenance.json")  # of a program whose weights are fitted


class BudgetSpentError(Exception):
    """Ends a search with the best so far; the text names what is spent."""


@dataclass(frozen=True)
class Opening:
    """What the candidates of a round answer to."""

    messages: tuple[Message, ...]
    parent: str | None
    origin: Origin
    sample: int  # of the first of them: a prompt that was used before gives other samples now


class Author:
    """Has a model write the candidates of a search, within its budget of tokens."""

    def __init__(self, search: Search, task: Task, client: Client | None) -> None:
        config = search.config
        self.search, self.task = search, task
        # Asked again after an interruption, a live model's reply comes from the folder and costs nothing more.
        self.client = client or connect(
            config.model, cache=search.folder / REPLIES, budget=Budget(max_tokens=None), wait_s=0
        )
        self.budget = Budget(max_tokens=config.max_tokens, input_tokens=search.tokens)
        changes: dict[str, Any] = {} if config.num_envs is None else {"num_envs": config.num_envs}
        self.train_config: TrainConfig = preset(config.algorithm, total_steps=config.steps, seed=config.seed, **changes)

    def missing(self, number: int) -> dict[int, str]:
        """The names of a round that have no candidate yet, by their places in it."""
        config = self.search.config
        names = {index: f"{number}-{index}" for index in range(config.revisions if number else config.samples)}
        return {index: name for index, name in names.items() if name not in self.search.candidates}

    def write(self, number: int, put: Callable[[Candidate], object]) -> None:
        """The programs of a round that are not there yet, each with a run folder of its own.

        Raises:
            UserError: the model has no reply.
            BudgetSpentError: the next request does not fit into the budget.
        """
        missing = self.missing(number)
        if not missing:
            return
        opening = self.opening(number)
        unanswered: list[str] = []
        for index, name in missing.items():
            try:
                put(self._candidate(name, opening, opening.sample + index))
            except UserError as error:
                # A mailbox gets the prompts of all samples at once, so that they can be answered side by side.
                if not self.client.spec.startswith("mailbox:"):
                    raise
                unanswered.append(str(error))
        if unanswered:
            raise UserError("\n".join(unanswered))

    def _candidate(self, name: str, opening: Opening, sample: int) -> Candidate:
        spent, error = self.budget.input_tokens + self.budget.output_tokens, None
        try:
            written = converse(
                self.task,
                opening.messages,
                _Metered(self.client, self.budget),
                check=lambda text: check(text, self.task),
                sample=sample,
                folder=self.search.place(name),
            )
            self.begin(name, written, source=self._source(opening.parent))
        except NotWrittenError as refused:
            error = f"no program passed the check; the last error: {refused.attempts[-1].error}"
        tokens = self.budget.input_tokens + self.budget.output_tokens - spent
        return Candidate(name, opening.origin, sample, opening.parent, tokens, error=error)

    def begin(
        self,
        name: str,
        reward: WrittenReward[Program] | str,
        *,
        weights: dict[str, float] | None = None,
        source: Run | None = None,
    ) -> Run:
        """A run folder under the candidate's name, whole or not at all."""
        scratch, place = self.search.folder / CANDIDATES / ".new", self.search.place(name)
        for leftover in (scratch, place):
            shutil.rmtree(leftover, ignore_errors=True)
        run = loops.begin(self.task, reward, self.train_config, scratch, name=name, weights=weights, source=source)
        run.path.rename(place)
        shutil.rmtree(scratch)
        return Run.open(place)

    def begin_weighted(self, name: str, source: Candidate, weights: dict[str, float]) -> None:
        """A run folder for the program of another candidate, with weights of its terms, and with its conversation."""
        known = self.search.place(source)
        run = self.begin(name, str(known / runs.REWARD), weights=weights, source=self._source(source.parent))
        for kept in KEPT:
            if (known / kept).is_file():
                shutil.copyfile(known / kept, run.file(kept))

    def _source(self, parent: str | None) -> Run | None:
        """The run whose replay, relabelled, a revised candidate begins with: only SAC has one."""
        if parent is None or self.search.config.algorithm != "sac" or not self.search.candidates[parent].rungs:
            return None
        return Run.open(self.search.place(parent))

    def opening(self, number: int) -> Opening:
        """What a round asks: for a first program, or to revise the best one, with what came of it."""
        parent = self.parent(number)
        known = self.search.candidates.values()
        earlier = [each for each in known if each.round < number and each.origin != "weighted"]
        sample = sum(each.parent == (parent and parent.name) for each in earlier)
        if parent is None:
            origin: Origin = "few-shot" if self.search.config.examples else "zero-shot"
            return Opening(self._prompt(sample), None, origin, sample)
        place = self.search.place(parent)
        findings = parent.findings
        if parent.weights is not None:
            used = ", ".join(f"`{term}` times {weight:.3g}" for term, weight in parent.weights.items())
            findings += (
                f"The figures are of your program with other weights of its terms: {used}. Write such weights into it.",
            )
        feedback = feedback_of(Run.open(place), findings=findings) if parent.rungs else Feedback(findings=findings)
        asked = Message("user", revision_request(feedback))
        return Opening((*(load_conversation(place) or ()), asked), parent.name, "revised", sample)

    def parent(self, number: int) -> Candidate | None:
        """Whom a round revises: the best so far, or where nothing was trained, the refused one with the best score."""
        best = self.search.best(before_round=number)
        if best is not None:
            return best
        judged = [each for each in self.search.candidates.values() if each.round < number and each.findings]
        return max(judged, key=lambda each: (each.score, *(-part for part in each.order)), default=None)

    def _prompt(self, sample: int) -> tuple[Message, ...]:
        """The first prompt. It is kept, since a library of examples grows while the search goes on."""
        config, path = self.search.config, self.search.folder / PROMPT
        if path.is_file():
            return tuple(Message(**turn) for turn in json.loads(path.read_bytes()))
        if config.examples:
            library = None if config.library is None else Path(config.library)
            shown: dict[str, Any] = {"sample": sample, "library": library, "embedding": config.embedding}
            messages = few_shot_prompt(self.task, self.client, config.examples, **shown)
        else:
            messages = build_prompt(self.task, language_reference())
        turns = [{"role": message.role, "text": message.text} for message in messages]
        with runs.atomic_write(path) as file:
            file.write((json.dumps(turns, indent=1, ensure_ascii=False) + "\n").encode())
        return messages


@dataclass(frozen=True)
class _Metered(Budgeted):
    """A client whose budget ends the search instead of failing."""

    def complete(self, request: Request) -> Reply:
        try:
            self.budget.check(request)
        except UserError:
            raise BudgetSpentError(f"budget of {self.budget.max_tokens:,} tokens spent") from None
        return super().complete(request)
