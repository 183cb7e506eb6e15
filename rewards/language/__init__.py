"""Zero-shot Text2Reward: a sentence and a scene become a reward program that a language model wrote."""

from rewards.language.prompt import build_prompt, schema_text
from rewards.language.revise import Feedback, revision_request
from rewards.language.write import (
    Attempt,
    NoProgramError,
    NotWrittenError,
    WrittenReward,
    converse,
    extract_code,
    load_conversation,
    write_reward,
)

__all__ = [
    "Attempt",
    "Feedback",
    "NoProgramError",
    "NotWrittenError",
    "WrittenReward",
    "build_prompt",
    "converse",
    "extract_code",
    "load_conversation",
    "revision_request",
    "schema_text",
    "write_reward",
]
