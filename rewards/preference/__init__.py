"""Rewards from comparisons: teachers who compare, and models that learn from what they say."""

TEACHERS = {
    "simulated": "rewards.preference.simulated:Simulated",
    "human": "rewards.preference.human:Human",
    "vlm": "rewards.preference.vlm:VisionLanguage",
    "vision": "rewards.preference.vision:Vision",
}

REWARD_MODELS = {
    "bradley-terry": "rewards.preference.bradley_terry:BradleyTerry",
    "regret": "rewards.preference.regret:Regret",
    "ratings": "rewards.preference.ratings:RatedRewards",
    "users": "rewards.preference.latent:LatentUsers",
}
