"""Rewards from comparisons: teachers who compare, and models that learn from what they say."""

TEACHERS = {
    "simulated": "rewards.preference.simulated:Simulated",
    "human": "rewards.preference.human:Human",
    "vlm": "rewards.preference.vlm:VisionLanguage",
    "vision": "rewards.preference.vision:Vision",
}
