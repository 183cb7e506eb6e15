"""A vision-language model as a teacher: pairs on contact sheets, or one by one in two stages, in both orders.

RL-VLM-F (Wang et al., ICML 2024) shows a model two pictures, lets it say how they differ in terms of the goal, and asks
from that text alone which is better. Here that is one way of asking; the other puts many pairs on a sheet, so that a
call answers them all. Models lean to one side, so every pair is shown in both orders: where the two replies disagree,
the pair is a tie.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from rewards.lettering import png
from rewards.models import Client, Message, NoReplyError, Request
from rewards.models.messages import image_hash, prompt_hash
from rewards.preference.query import Answer, Query
from rewards.preference.replies import UnreadableError, Verdict, combine, read_choice, read_sheet
from rewards.preference.sheets import MAX_PAIRS, Look, sheet
from robot_learn.errors import UserError

T = TypeVar("T")
Pictures = tuple[np.ndarray, np.ndarray]  # (height, width, 3) uint8 each

_SYSTEM = "You compare pictures of a robot at work. You judge by what can be seen in them and by nothing else."

_SHEET = """\
The goal: {instruction}

The sheet shows {pictures}, all of the same kind of scene from the same camera{s}. The two pictures of pair 1 are
named 1a and 1b, and so on; the name stands above the picture. Each picture shows one moment of some attempt at the
goal. The attempts have nothing to do with each other, and things may begin in different places in each.{views}

For every pair: in which of its two pictures is the goal closer to being achieved?

Write, in this order:

1. In one or two sentences: which object the goal is about, and what in a picture shows how far it is on its way.
2. For every pair one short line: what differs between its two pictures with regard to the goal. Look at the objects
   first; what has happened to them counts most. Only where they look alike, the robot counts: it is closer where it is
   better placed for what has to be done next.
3. For every pair one line of JSON, in order, exactly in this form:

{{"pair": 1, "better": "a", "confidence": 0.8}}

"better" is "a" or "b", or "same" where neither is closer, or "unknown" where the pictures do not show enough to tell.
"confidence" is how sure you are, from 0 (a guess) to 1 (beyond doubt).
"""

_VIEWS = """

Every picture is {views} views of its moment, from {views} cameras, beside each other. What one view does not tell, e.g.
how near or how high a thing is, another does: look at all of them."""

_DESCRIBE = """\
The goal: {instruction}

Two pictures are attached, image 1 and image 2. Each shows one moment of some attempt at the goal.{views}

1. What is shown in image 1?
2. What is shown in image 2?
3. Is there a difference between the two in terms of the goal, and if so, which?
"""

_CHOOSE = """\
The goal: {instruction}

Somebody who saw two pictures, image 1 and image 2, describes them so:

-----
{description}
-----

Going by this text alone: in which of the two is the goal better achieved? Answer with one line that holds nothing but
a number: 0 for image 1, 1 for image 2, or -1 when the text does not tell or there is no difference.
"""

_REPAIR = "{error}\n\nMend this and answer again, in the form that was asked for."


@dataclass(frozen=True)
class VisionLanguage:
    """Asks a model that sees. A reply that cannot be read is sent back with what is wrong; if the next cannot be read
    either, the teacher abstains.
    """

    client: Client
    sheet: int = 10  # pairs in one call; 0: one pair, in two stages
    both_orders: bool = True
    look: Look = field(default_factory=Look)
    repairs: int = 1  # how often an unreadable reply is sent back
    sample: int = 0  # which of several replies to the same prompt

    def __post_init__(self) -> None:
        if not 0 <= self.sheet <= MAX_PAIRS:
            raise UserError(f"pairs on a sheet: wanted 1 to {MAX_PAIRS}, or 0 for two stages, came {self.sheet}")

    @property
    def name(self) -> str:
        how = f"sheet={self.sheet}" if self.sheet else "two-stage"
        orders = "both-orders" if self.both_orders else "one-order"
        sample = f",sample={self.sample}" if self.sample else ""
        # Who replies from a folder is not known before; who is asked over the network is, and another is asked anew.
        spec = self.client.spec
        who = "" if spec.partition(":")[0] in ("recordings", "mailbox") else f"{spec},"
        return f"vlm:{who}{how},{orders},{self.look.text}{sample}"

    @property
    def _views(self) -> str:
        """What is said of views, where there are several."""
        return _VIEWS.format(views=self.look.views) if self.look.views > 1 else ""

    @property
    def batch(self) -> int:
        return max(1, self.sheet)

    def answers(self, queries: Sequence[Query]) -> Iterator[Answer]:
        """One answer a query, a sheet at a time.

        Raises:
            NoReplyError: prompts lie in a mailbox and wait for their replies; both orders of these queries do.
            UserError: a query has no pictures, or the client has no reply.
        """
        for start in range(0, len(queries), self.batch):
            chunk = list(queries[start : start + self.batch])
            pictures = [self._pictures(query) for query in chunk]
            asked = [self._ask(chunk, pictures)] if not self.both_orders else self._ask_twice(chunk, pictures)
            for row, pair in enumerate(pictures):
                label, confidence = combine([answer.verdicts[row] for answer in asked])
                hashes = (image_hash(png(pair[0])), image_hash(png(pair[1])))
                yield Answer(label, confidence, asked[0].prompt_hash, hashes, asked[0].model)

    def _pictures(self, query: Query) -> Pictures:
        if query.pictures is None:
            raise UserError("a model that sees wants pictures, and these segments have none: collect with --images")
        return self.look.picture(query.pictures[0]), self.look.picture(query.pictures[1])

    def _ask_twice(self, queries: Sequence[Query], pictures: Sequence[Pictures]) -> list[_Asked]:
        """Both orders; the second has its verdicts turned round."""
        waiting: NoReplyError | None = None
        asked = []
        for turned in (False, True):
            shown = [(pair[1], pair[0]) for pair in pictures] if turned else pictures
            try:
                found = self._ask(queries, shown)
            except NoReplyError as error:  # the other order is posted all the same, so that both can be carried at once
                waiting = error
                continue
            verdicts = tuple(verdict.turned() for verdict in found.verdicts) if turned else found.verdicts
            asked.append(_Asked(verdicts, found.prompt_hash, found.model))
        if waiting is not None:
            raise waiting
        return asked

    def _ask(self, queries: Sequence[Query], pictures: Sequence[Pictures]) -> _Asked:
        if not self.sheet:
            return self._ask_in_stages(queries[0].instruction, pictures[0])
        pairs = f"{len(pictures)} pairs" if len(pictures) > 1 else "one pair"
        several = "s" if self.look.views > 1 else ""
        text = _SHEET.format(
            instruction=queries[0].instruction, pictures=f"{pairs} of pictures", s=several, views=self._views
        )
        messages = (Message("system", _SYSTEM), Message("user", text, (png(sheet(pictures)),)))
        goal = queries[0].instruction
        verdicts, model = self._converse(messages, goal, lambda reply: read_sheet(reply, len(pictures)))
        silent = (Verdict("unknown"),) * len(pictures)
        return _Asked(verdicts or silent, prompt_hash(messages), model)

    def _ask_in_stages(self, instruction: str, pair: Pictures) -> _Asked:
        files = (png(pair[0]), png(pair[1]))
        text = _DESCRIBE.format(instruction=instruction, views=self._views)
        seen = (Message("system", _SYSTEM), Message("user", text, files))
        description = self.client.complete(self._request(seen, instruction)).text.strip()
        text = _CHOOSE.format(instruction=instruction, description=description or "(nothing)")
        verdict, model = self._converse((Message("user", text),), instruction, read_choice)
        return _Asked((verdict or Verdict("unknown"),), prompt_hash(seen), model)

    def _converse(
        self, messages: tuple[Message, ...], instruction: str, read: Callable[[str], T]
    ) -> tuple[T | None, str]:
        """What a reply says and who wrote it; None when no reply can be read."""
        model = ""
        for refused in range(self.repairs + 1):
            reply = self.client.complete(self._request(messages, instruction, refused))
            model = reply.model
            try:
                return read(reply.text), model
            except UnreadableError as error:
                messages += (Message("assistant", reply.text if reply.text.strip() else "(empty reply)"),)
                messages += (Message("user", _REPAIR.format(error=error)),)
        return None, model

    def _request(self, messages: tuple[Message, ...], instruction: str, refused: int = 0) -> Request:
        return Request(messages, f"compare {instruction}", self.sample, temperature=0.0, refused=refused)


@dataclass(frozen=True)
class _Asked:
    """One prompt, read."""

    verdicts: tuple[Verdict, ...]  # one a pair
    prompt_hash: str
    model: str
