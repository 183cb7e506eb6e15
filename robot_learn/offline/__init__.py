"""Offline reinforcement learning: policies from data, without a simulator. Every learner trains many seeds at once."""

ALGORITHMS = {
    "iql": "robot_learn.offline.iql:Iql",
    "bc": "robot_learn.offline.bc:Bc",
    "bc-10": "robot_learn.offline.bc:Bc10",
    "td3-bc": "robot_learn.offline.rebrac:Td3Bc",
    "rebrac": "robot_learn.offline.rebrac:Rebrac",
    "prdc": "robot_learn.offline.prdc:Prdc",
    "cpl": "robot_learn.offline.cpl:Cpl",
    "odice": "robot_learn.offline.odice:Odice",
}
