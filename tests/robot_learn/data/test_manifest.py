"""What a dataset says of itself."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from robot_learn.data.manifest import content_hash, dataset_hash, describe, grown, identity, normalised
from robot_learn.errors import UserError
from tests.robot_learn.data import made

ANCHORS = {"anchors": {"random": {"mean_return": 10.0}, "expert": {"mean_return": 30.0}}}


def test_chance_is_0_and_the_expert_100() -> None:
    np.testing.assert_allclose(normalised(np.array([10.0, 20.0, 30.0, 40.0]), ANCHORS), [0, 50, 100, 150])
    with pytest.raises(UserError, match="no random nor expert anchor"):
        normalised(1.0, {})
    with pytest.raises(UserError, match="both 5"):
        normalised(1.0, {"anchors": {name: {"mean_return": 5.0} for name in ("random", "expert")}})


@pytest.mark.parametrize("name", ["observations", "actions", "rewards", "terminated", "success"])
def test_the_hash_changes_with_every_number(name: str) -> None:
    data = made.dataset()
    values = np.array(getattr(data, name))
    values.flat[3] = not values.flat[3] if values.dtype == bool else np.nextafter(values.flat[3], np.float32(9.0))
    assert content_hash(dataclasses.replace(data, **{name: values})) != content_hash(data)


def test_the_hash_depends_on_where_episodes_end_and_not_on_pictures() -> None:
    data = made.dataset((5, 8, 3), images=8)
    assert content_hash(dataclasses.replace(data, images=None)) == content_hash(data)
    assert content_hash(dataclasses.replace(data, lengths=data.lengths[::-1].copy())) != content_hash(data)
    assert content_hash(dataclasses.replace(data, actions=None)) != content_hash(data)


def test_other_rewards_leave_the_hash_of_what_is_stored() -> None:
    data = dataclasses.replace(made.dataset(), manifest={"hash": "abc"})
    assert dataset_hash(data.with_rewards(np.zeros(16), "model")) == "abc"
    assert dataset_hash(made.dataset()) == content_hash(made.dataset())


def test_a_dataset_that_grows_remembers_what_labels_called_it() -> None:
    first, more = made.dataset((5,)), made.dataset((5, 8))
    begun = grown({}, describe(first))
    assert begun["earlier"] == []
    assert grown(begun, describe(first))["earlier"] == []  # nothing was added
    now = grown(begun, describe(more))
    assert now["earlier"] == [content_hash(first)]
    told = identity(dataclasses.replace(more, manifest=now))
    assert (told["dataset_hash"], told["earlier"]) == (content_hash(more), (content_hash(first),))


def test_a_description_counts_what_is_there() -> None:
    told = describe(made.dataset((5, 8, 3), images=8))
    assert (told["episodes"], told["steps"], told["obs_dim"], told["act_dim"]) == (3, 16, 2, 2)
    assert told["sources"] == {"expert": 1 / 3, "random": 2 / 3}
    assert told["images"] == [8, 8, 3]
    assert told["returns"]["quartiles"][2] == pytest.approx(np.median(made.dataset((5, 8, 3)).returns))
    assert told["episode_length"] == {"mean": pytest.approx(16 / 3), "min": 3, "max": 8}
