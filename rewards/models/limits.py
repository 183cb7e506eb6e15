"""What keeps live models cheap: a cache, so that nothing is paid twice, and a budget, so that it cannot run away."""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass, field
from pathlib import Path

from rewards.models.messages import Client, Reply, Request, Usage
from rewards.models.recordings import write_atomically
from robot_learn.errors import UserError

# Rules of thumb for endpoints that do not count: about four characters and 1,000 tokens an image.
_CHARACTERS_PER_TOKEN = 4
_TOKENS_PER_IMAGE = 1000


@dataclass(frozen=True)
class Cached:
    """A back end that is asked once for each request: by model, prompt, settings and sample."""

    client: Client
    folder: Path

    @property
    def spec(self) -> str:
        return self.client.spec

    def complete(self, request: Request) -> Reply:
        identity = [self.spec, request.prompt_hash, request.sample, request.settings()]
        key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
        path = self.folder / f"{key}.json"
        if path.exists():
            try:
                stored = json.loads(path.read_bytes())
                return Reply.from_json(stored["text"], stored)
            except (ValueError, KeyError, TypeError) as error:
                raise UserError(f"{path}: a damaged cache file ({error!r}); delete it") from error
        reply = self.client.complete(request)
        write_atomically(path, json.dumps({"text": reply.text, **reply.provenance()}, indent=1))
        return reply


@dataclass
class Budget:
    """Caps on what one run may spend, shared by all clients that it is given to.

    A call is refused when its prompt and `max_tokens` no longer fit in; a reply without `max_tokens` may pass the cap
    once, by its own length. Tokens that an endpoint does not count are estimated from the length of the text.
    """

    max_tokens: int | None = 1_000_000  # input and output together
    max_cost: float | None = None  # in the currency of the price
    price: tuple[float, float] | None = None  # per million input and output tokens
    input_tokens: int = 0  # spent
    output_tokens: int = 0  # spent
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        if self.max_cost is not None and self.price is None:
            raise UserError("a cap on cost needs the price per million (input, output) tokens")

    @property
    def cost(self) -> float | None:
        """What was spent, in the currency of the price; None without a price."""
        return None if self.price is None else self._cost_of(self.input_tokens, self.output_tokens)

    def check(self, request: Request) -> None:
        """Refuse a request that does not fit in any more.

        Raises:
            UserError: it names the cap and what was spent.
        """
        with self._lock:
            tokens_in = self.input_tokens + _estimate(request)
            tokens_out = self.output_tokens + (request.max_tokens or 0)
        spent = f"{self.input_tokens + self.output_tokens} tokens are spent"
        if self.max_tokens is not None and tokens_in + tokens_out > self.max_tokens:
            raise UserError(
                f"the next call would pass the budget of {self.max_tokens} tokens: {spent}; raise the budget"
            )
        if self.max_cost is not None and self._cost_of(tokens_in, tokens_out) > self.max_cost:
            raise UserError(
                f"the next call would pass the budget of {self.max_cost:g}: {self.cost:.4f} ({spent}); raise the budget"
            )

    def charge(self, request: Request, reply: Reply) -> None:
        """Count what a reply took."""
        counted: Usage = reply.usage
        tokens_in, tokens_out = counted.input_tokens, counted.output_tokens
        with self._lock:
            self.input_tokens += _estimate(request) if tokens_in is None else tokens_in
            self.output_tokens += len(reply.text) // _CHARACTERS_PER_TOKEN + 1 if tokens_out is None else tokens_out

    def _cost_of(self, input_tokens: int, output_tokens: int) -> float:
        price_in, price_out = self.price or (0.0, 0.0)
        return (input_tokens * price_in + output_tokens * price_out) / 1e6


@dataclass(frozen=True)
class Budgeted:
    """A back end that stops asking when its budget is spent."""

    client: Client
    budget: Budget

    @property
    def spec(self) -> str:
        return self.client.spec

    def complete(self, request: Request) -> Reply:
        self.budget.check(request)
        reply = self.client.complete(request)
        self.budget.charge(request, reply)
        return reply


def _estimate(request: Request) -> int:
    """Tokens of a prompt."""
    characters = sum(len(message.text) for message in request.messages)
    images = sum(len(message.images) for message in request.messages)
    return characters // _CHARACTERS_PER_TOKEN + images * _TOKENS_PER_IMAGE + 1
