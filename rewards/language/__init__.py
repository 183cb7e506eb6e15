"""Text2Reward, zero-shot and few-shot: a sentence and a scene become a reward program that a language model wrote."""

from rewards.language.embedding import Embedder, connect_embedder
from rewards.language.examples import Example, Library, Measured, Origin, best
from rewards.language.prompt import build_prompt, examples_in, schema_text
from rewards.language.replay import recorded_prompt
from rewards.language.retrieval import Neighbour, neighbours, retrieve
from rewards.language.revise import Feedback, Rejected, drafts, revision_request
from rewards.language.write import (
    Attempt,
    NoProgramError,
    NotWrittenError,
    WrittenReward,
    converse,
    extract_code,
    load_conversation,
)

__all__ = [
    "Attempt",
    "Embedder",
    "Example",
    "Feedback",
    "Library",
    "Measured",
    "Neighbour",
    "NoProgramError",
    "NotWrittenError",
    "Origin",
    "Rejected",
    "WrittenReward",
    "best",
    "build_prompt",
    "connect_embedder",
    "converse",
    "drafts",
    "examples_in",
    "extract_code",
    "load_conversation",
    "neighbours",
    "recorded_prompt",
    "retrieve",
    "revision_request",
    "schema_text",
]
