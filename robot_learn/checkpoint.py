"""Everything that the rest of a training depends on, in one file, so that going on gives the same result to the bit.

The file is a pickle: like any pickle, open only your own.
"""

from __future__ import annotations

import pickle
import random
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.vec_env import VecNormalize

from robot_learn.errors import UserError
from robot_learn.policy import MlpPolicy
from robot_learn.relabel import SceneReplay, return_statistics
from robot_learn.runs import atomic_write
from robot_learn.vec_env import SB3VecEnv

FORMAT = 1

# Attributes of an SB3 algorithm that change while it learns, besides parameters and the replay buffer.
_COUNTERS = (
    "num_timesteps",
    "_episode_num",
    "_n_updates",
    "_current_progress_remaining",
    "_last_obs",
    "_last_episode_starts",
    "_last_original_obs",
)
_NORMALISER = ("obs_rms", "ret_rms", "returns", "old_obs", "old_reward")
_CRITICS = ("critic.", "critic_target.", "value_net.", "mlp_extractor.value_net.")  # SAC's, PPO's
_REPLAY = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")


def capture(model: PPO | SAC, normaliser: VecNormalize, adapter: SB3VecEnv) -> dict[str, Any]:
    """The state of training between two iterations. Shares memory with the live objects: write it at once."""
    state: dict[str, Any] = {
        "format": FORMAT,
        "algorithm": type(model).__name__,
        "parameters": model.get_parameters(),
        "counters": {name: getattr(model, name) for name in _COUNTERS},
        "normaliser": {name: getattr(normaliser, name) for name in _NORMALISER if hasattr(normaliser, name)},
        "worlds": adapter.state(),
        "torch_rng": torch.get_rng_state(),
        "numpy_rng": np.random.get_state(),  # noqa: NPY002 - the learner draws minibatches from it
        "python_rng": random.getstate(),
        "action_rng": model.action_space.np_random.bit_generator.state,  # SAC's first random actions
    }
    if isinstance(model, SAC):
        buffer = _replay(model)
        filled = buffer.buffer_size if buffer.full else buffer.pos
        state["replay"] = {name: getattr(buffer, name)[:filled] for name in _REPLAY}
        state["replay_position"] = (buffer.pos, buffer.full)
        if isinstance(buffer, SceneReplay):
            state["scenes"] = buffer.scene_state()
        state["log_ent_coef"] = None if model.log_ent_coef is None else model.log_ent_coef.detach()
    return state


def restore(state: dict[str, Any], model: PPO | SAC, normaliser: VecNormalize, adapter: SB3VecEnv) -> None:
    """Put a captured state into freshly made objects of the same configuration."""
    model.set_parameters(state["parameters"], device="cpu")
    for name, value in state["counters"].items():
        setattr(model, name, value)
    for name, value in state["normaliser"].items():
        setattr(normaliser, name, value)
    adapter.load_state(state["worlds"])
    if isinstance(model, SAC):
        _restore_replay(state, model)
        if model.log_ent_coef is not None:
            model.log_ent_coef.data.copy_(state["log_ent_coef"])
    model.action_space.np_random.bit_generator.state = state["action_rng"]
    torch.set_rng_state(state["torch_rng"])
    np.random.set_state(state["numpy_rng"])  # noqa: NPY002
    random.setstate(state["python_rng"])


def _restore_replay(state: dict[str, Any], model: SAC) -> None:
    buffer = _replay(model)
    for name, values in state["replay"].items():
        getattr(buffer, name)[: len(values)] = values
    buffer.pos, buffer.full = state["replay_position"]
    if isinstance(buffer, SceneReplay):
        buffer.load_scene_state(state.get("scenes"))


Critic = Literal["kept", "fresh"]
_CARRIED = ("format", "algorithm", "parameters", "normaliser", "replay", "replay_position", "log_ent_coef", "scenes")


def start_of(state: dict[str, Any], critic: Critic) -> dict[str, Any]:
    """What another run, under another reward, may begin from.

    Raises:
        UserError: a replay holds no scenes, so that nobody can say what another reward pays for it.
    """
    if "replay" in state and not state.get("scenes", {}).get("complete"):
        raise UserError(
            "its replay holds no scenes, so no other reward can be asked for it: only a SAC run that was begun under a "
            "reward program keeps them"
        )
    return {name: state[name] for name in _CARRIED if name in state} | {
        "critic": critic,
        "steps": state["counters"]["num_timesteps"],
    }


def carry_over(start: dict[str, Any], model: PPO | SAC, normaliser: VecNormalize) -> None:
    """Begin with the networks, the normaliser and the replay of another run, under the reward of this one.

    The optimisers begin anew, and so do the statistics of returns: from the relabelled replay, where there is one.
    """
    policy = dict(start["parameters"]["policy"])
    if start["critic"] == "fresh":
        policy |= {name: value for name, value in model.policy.state_dict().items() if name.startswith(_CRITICS)}
    model.policy.load_state_dict(policy)
    if "obs_rms" in start["normaliser"]:
        normaliser.obs_rms = start["normaliser"]["obs_rms"]
    if not isinstance(model, SAC):
        return
    _restore_replay(start, model)
    buffer = _replay(model)
    if not isinstance(buffer, SceneReplay):
        raise UserError("a replay is relabelled by a reward program only, and this run's reward is none")
    rewards, begins = buffer.relabel(buffer.recorder.reward), buffer.begins(buffer.times())
    normaliser.ret_rms = return_statistics(rewards, begins, normaliser.gamma)
    buffer.new_episodes()
    if model.log_ent_coef is not None:
        model.log_ent_coef.data.copy_(start["log_ent_coef"])


def _replay(model: SAC) -> ReplayBuffer:
    if model.replay_buffer is None:
        raise RuntimeError("SAC was made without its replay buffer")
    return model.replay_buffer


def save(state: dict[str, Any], path: Path) -> None:
    """Write a state; the last one stays valid until the new one is complete on disk."""
    with atomic_write(path) as file:
        pickle.dump(state, file, protocol=5)


def load(path: Path) -> dict[str, Any]:
    """Read a state.

    Raises:
        UserError: the file is damaged or of another version.
    """
    try:
        with path.open("rb") as file:
            state = pickle.load(file)
    except (pickle.UnpicklingError, EOFError, AttributeError, ImportError, ValueError) as error:
        raise UserError(f"{path} cannot be read as a checkpoint: {error}") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise UserError(f"{path} is a checkpoint of another version; wanted format {FORMAT}")
    return state


def export_policy(model: PPO | SAC, normaliser: VecNormalize) -> MlpPolicy:
    """The acting half of a model, with the normalisation that its observations went through."""
    if isinstance(model, SAC):
        actor: Any = model.actor
        hidden, mean = actor.latent_pi, actor.mu
        std_weight, std_bias = _numbers(actor.log_std.weight), _numbers(actor.log_std.bias)
        state_noise = np.zeros_like(std_weight)
    else:
        policy: Any = model.policy
        hidden, mean = policy.mlp_extractor.policy_net, policy.action_net
        std_weight = np.zeros_like(_numbers(mean.weight))
        if model.use_sde:
            std_bias, state_noise = np.full(len(std_weight), -np.inf), np.exp(_numbers(policy.log_std)).T
        else:
            std_bias, state_noise = _numbers(policy.log_std), np.zeros_like(std_weight)
    linear = [layer for layer in hidden if isinstance(layer, torch.nn.Linear)]
    obs_dim = normaliser.observation_space.shape[0]  # type: ignore[index]  # a Box has a shape
    statistics: Any = getattr(normaliser, "obs_rms", None)
    space: Any = model.action_space
    return MlpPolicy(
        obs_mean=np.zeros(obs_dim) if statistics is None else statistics.mean.copy(),
        obs_scale=np.ones(obs_dim) if statistics is None else np.sqrt(statistics.var + normaliser.epsilon),
        obs_clip=np.asarray(np.inf if statistics is None else normaliser.clip_obs),
        weights=tuple(_numbers(layer.weight) for layer in linear),
        biases=tuple(_numbers(layer.bias) for layer in linear),
        relu=np.asarray(isinstance(model, SAC)),
        mean_weight=_numbers(mean.weight),
        mean_bias=_numbers(mean.bias),
        log_std_weight=std_weight,
        log_std_bias=std_bias,
        state_noise=state_noise,
        low=space.low,
        high=space.high,
        squash=np.asarray(isinstance(model, SAC)),
    )


def _numbers(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy().copy()
