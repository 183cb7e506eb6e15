"""Zero-shot Text2Reward: a sentence and a scene become a reward program that a language model wrote."""

from rewards.language.prompt import build_prompt, schema_text
from rewards.language.write import Attempt, NoProgramError, NotWrittenError, WrittenReward, extract_code, write_reward

__all__ = [
    "Attempt",
    "NoProgramError",
    "NotWrittenError",
    "WrittenReward",
    "build_prompt",
    "extract_code",
    "schema_text",
    "write_reward",
]
