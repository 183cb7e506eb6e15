"""Live models: any endpoint that speaks OpenAI's chat protocol, and Anthropic's, each through its official SDK.

The SDKs do the retrying: exponential back-off with jitter on 408, 409, 429, 5xx, time-outs and cut connections, and a
server's Retry-After is honoured. Keys come from the environment, go to the SDK and nowhere else; what a server says is
searched for the key before anybody sees it.
"""

from __future__ import annotations

import base64
import importlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

from rewards.models.messages import Message, Reply, Request, Usage
from robot_learn.errors import UserError

# Anthropic's protocol wants a limit in every request; a reward program with its reasoning takes about 2,000 tokens.
_ANTHROPIC_MAX_TOKENS = 8192

_EMBEDDED_AT_ONCE = 256  # texts in one request; OpenAI takes 2,048, other servers fewer

T = TypeVar("T")

_FINISH_WORDS = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length"}


@dataclass(frozen=True)
class OpenAI:
    """A model behind OpenAI's chat protocol: hosted, vLLM, Ollama, llama.cpp (address in OPENAI_BASE_URL)."""

    model: str
    timeout_s: float = 300.0  # [s] without a byte from the server
    max_retries: int = 4

    @property
    def spec(self) -> str:
        return f"openai:{self.model}"

    def complete(self, request: Request) -> Reply:
        """Ask the model.

        Raises:
            UserError: package or key is missing, or the endpoint failed for good.
        """
        line, options = self._line()
        base_url = options["base_url"]
        limit = "max_completion_tokens" if base_url is None else "max_tokens"  # compatible servers know the older name
        chosen = {limit: request.max_tokens, "temperature": request.temperature, "seed": _seed(request)}

        def ask() -> Any:
            with line.sdk.OpenAI(**options) as client:
                return client.chat.completions.create(
                    model=self.model,
                    messages=[_openai_message(message) for message in request.messages],
                    **_set(chosen),
                )

        return _reply(line, *_guarded(ask, _read_openai, line))

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """The embedding of each text, by a model that makes embeddings.

        Raises:
            UserError: package or key is missing, or the endpoint failed for good.
        """
        line, options = self._line()
        found: list[list[float]] = []
        for start in range(0, len(texts), _EMBEDDED_AT_ONCE):
            part = list(texts[start : start + _EMBEDDED_AT_ONCE])

            def ask(part: list[str] = part) -> Any:
                with line.sdk.OpenAI(**options) as client:
                    return client.embeddings.create(model=self.model, input=part, encoding_format="float")

            rows = _guarded(ask, _read_embeddings, line)
            if len(rows) != len(part) or len({len(row) for row in [*found, *rows]}) != 1:
                raise UserError(f"{self.spec} at {line.address}: wanted a vector a text, all of one length")
            found += rows
        return found

    def _line(self) -> tuple[_Line, dict[str, Any]]:
        """The line to the endpoint, and the options of the SDK's client."""
        sdk = _sdk("openai")
        base_url, address = _address("OPENAI_BASE_URL", "api.openai.com")
        key = _key("OPENAI_API_KEY")
        if not key and base_url is None:
            raise UserError(
                f"{self.spec} needs a key: set OPENAI_API_KEY, or OPENAI_BASE_URL to the address of your own server"
            )
        # Servers of one's own want no key, but the SDK does.
        options: dict[str, Any] = {"api_key": key or "none", "base_url": base_url}
        options |= {"timeout": self.timeout_s, "max_retries": self.max_retries}
        return _Line(sdk, self.spec, self.model, address, key), options


@dataclass(frozen=True)
class Anthropic:
    """A model of Anthropic's (address in ANTHROPIC_BASE_URL, when it is another than the public one)."""

    model: str
    timeout_s: float = 300.0  # [s] without a byte from the server
    max_retries: int = 4

    @property
    def spec(self) -> str:
        return f"anthropic:{self.model}"

    def complete(self, request: Request) -> Reply:
        """Ask the model. It knows no seed: `Request.seed` is not sent.

        Raises:
            UserError: package or key is missing, or the endpoint failed for good.
        """
        sdk = _sdk("anthropic")
        base_url, address = _address("ANTHROPIC_BASE_URL", "api.anthropic.com")
        key = _key("ANTHROPIC_API_KEY")
        if not key:
            raise UserError(f"{self.spec} needs a key: set ANTHROPIC_API_KEY")
        options = {"api_key": key, "base_url": base_url}
        system = "\n\n".join(message.text for message in request.messages if message.role == "system")
        turns = [_anthropic_message(message) for message in request.messages if message.role != "system"]
        # In `extra_body` because newer SDKs have no such argument; whether a model takes it is for the server to say.
        extra = _set({"temperature": request.temperature})
        chosen = {"system": system or None, "extra_body": extra or None}

        def ask() -> Any:
            with sdk.Anthropic(**options, timeout=self.timeout_s, max_retries=self.max_retries) as client:
                limit = request.max_tokens or _ANTHROPIC_MAX_TOKENS
                return client.messages.create(model=self.model, messages=turns, max_tokens=limit, **_set(chosen))

        line = _Line(sdk, self.spec, self.model, address, key)
        return _reply(line, *_guarded(ask, _read_anthropic, line))


@dataclass(frozen=True)
class _Line:
    """The line to an endpoint, for as long as one call takes."""

    sdk: Any  # the module `openai` or `anthropic`, whose errors have the same names
    spec: str
    model: str
    address: str  # host and path
    key: str = field(repr=False)


_Answer = tuple[str, str | None, str | None, Usage]  # text, model, reason for the end, usage


def _guarded(ask: Callable[[], Any], read: Callable[[Any], T], line: _Line) -> T:
    """Ask, read the answer, and turn every failure into a message for people that cannot hold the key."""
    answer, problem = None, ""
    try:
        answer = ask()
    except line.sdk.APIError as error:
        problem = _explain(line.sdk, error)
    except ValueError as error:  # the SDKs let a JSON decoder's error through
        problem = f"the answer is not the JSON of its protocol ({error}); is the address right?"
    if not problem:
        try:
            return read(answer)
        except (AttributeError, IndexError, TypeError):
            problem = f"the answer lacks what its protocol promises: {answer!r}; is the address right?"
    # Raised here and not above, so that the SDK's error, which holds the request, is not chained to ours. The key is
    # taken out before the text is shortened: half a key is a leak, too.
    clean = problem.replace(line.key, "(key)") if line.key else problem
    raise UserError(f"{line.spec} at {line.address}: {clean if len(clean) <= 800 else clean[:800] + ' ...'}")


def _reply(line: _Line, text: str, model: str | None, finish: str | None, usage: Usage) -> Reply:
    if line.key and line.key in f"{text} {model} {finish}":
        raise UserError(f"{line.spec} at {line.address}: the reply repeats the API key; do not trust this endpoint")
    # A reply may hold half a surrogate pair, which no file can.
    text = text.encode("utf-8", "replace").decode()
    finish = _FINISH_WORDS.get(finish or "", finish or "unknown")
    date = datetime.now(UTC).isoformat(timespec="seconds")
    return Reply(text, model or line.model, date, line.spec, usage, finish)


def _explain(sdk: Any, error: Any) -> str:
    """Why an endpoint failed for good, and what to do about it."""
    if isinstance(error, sdk.APITimeoutError):
        return "no answer in time, retries included; is the server up, and does the model need a longer time-out?"
    if isinstance(error, sdk.APIConnectionError):
        return f"no connection, or it was cut ({error.__cause__ or error}), retries included; is the address right?"
    if not isinstance(error, sdk.APIStatusError):
        return f"the answer is not the JSON of its protocol ({error}); is the address right?"
    advice = {
        400: "the request was refused; does the model exist, and does it take these settings and images?",
        401: "the key was refused; is it the right one for this address?",
        403: "the key may not use this model",
        404: "there is no such model, or no chat protocol at this address (a base URL often ends in /v1)",
        413: "the prompt is too long for this endpoint",
        429: "too many requests or no credit left, retries included; wait, or check the account",
    }
    fallback = "the server failed, retries included; try later" if error.status_code >= 500 else "the request failed"
    return f"HTTP {error.status_code}: {advice.get(error.status_code, fallback)}. The server says: {_said(error)}"


def _said(error: Any) -> str:
    """The server's own words, on one line."""
    body = error.body
    inner = body.get("error", body) if isinstance(body, dict) else body
    words = inner.get("message", inner) if isinstance(inner, dict) else inner
    return " ".join(str(words or "nothing").split())


def _openai_message(message: Message) -> dict[str, Any]:
    if not message.images:
        return {"role": message.role, "content": message.text}
    urls = [f"data:image/png;base64,{_base64(image)}" for image in message.images]
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return {"role": message.role, "content": [{"type": "text", "text": message.text}, *parts]}


def _anthropic_message(message: Message) -> dict[str, Any]:
    if not message.images:
        return {"role": message.role, "content": message.text}
    sources = [{"type": "base64", "media_type": "image/png", "data": _base64(image)} for image in message.images]
    parts = [{"type": "image", "source": source} for source in sources]
    return {"role": message.role, "content": [{"type": "text", "text": message.text}, *parts]}


def _read_openai(answer: Any) -> _Answer:
    """A refusal is a text like any other."""
    choice = answer.choices[0]
    text = choice.message.content or getattr(choice.message, "refusal", None) or ""
    counted = _usage(answer, "prompt_tokens", "completion_tokens")
    return str(text), answer.model, choice.finish_reason, counted


def _read_anthropic(answer: Any) -> _Answer:
    """Blocks that are not text (thinking) are left out."""
    text = "".join(block.text for block in answer.content if block.type == "text")
    return text, answer.model, answer.stop_reason, _usage(answer, "input_tokens", "output_tokens")


def _read_embeddings(answer: Any) -> list[list[float]]:
    return [[float(number) for number in row.embedding] for row in sorted(answer.data, key=lambda row: row.index)]


def _usage(answer: Any, name_in: str, name_out: str) -> Usage:
    """Some compatible servers count nothing, or only one side."""
    usage = getattr(answer, "usage", None)
    return Usage(getattr(usage, name_in, None), getattr(usage, name_out, None))


def _sdk(name: str) -> Any:
    # Imported when it is used: the SDKs are an extra, and take a second to load.
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise UserError(
            f"this model needs the package {error.name!r}, which is not installed: pip install 'robot-learn[llm]'"
        ) from error


def _address(variable: str, public: str) -> tuple[str | None, str]:
    """The base URL, None for the public one, and how to show it: without user and password, which may be in it."""
    url = os.environ.get(variable, "").strip()
    if not url:
        return None, public
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and parts.hostname is not None and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise UserError(
            f"{variable} is not an address: wanted http(s)://HOST[:PORT]/PATH, e.g. http://localhost:8000/v1"
        )
    return url, parts.netloc.rpartition("@")[2] + parts.path


def _key(variable: str) -> str:
    """A key from the environment, without the line end that often comes along; "" when there is none."""
    key = os.environ.get(variable, "").strip()
    if not key.isascii():
        raise UserError(f"{variable} holds a character that is not ASCII, so it is not a key")
    return key


def _seed(request: Request) -> int | None:
    return None if request.seed is None else request.seed + request.sample


def _set(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _base64(image: bytes) -> str:
    return base64.b64encode(image).decode("ascii")
