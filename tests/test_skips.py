"""Under CI a skip may only be for an extra that is not there (tests/conftest.py)."""

from __future__ import annotations

import pytest

from tests.conftest import extras, unjustified

TABLE = {"maniskill": ["mani_skill"], "llm": ["openai", "anthropic"], "empty": []}


@pytest.mark.parametrize("reason", ["needs the extra llm", "could not import 'openai'", "extra 'LLM': pip install ..."])
def test_a_skip_for_an_installed_extra_is_found_by_any_of_its_names(reason: str) -> None:
    assert unjustified(reason, TABLE, {"openai", "anthropic"}) == "llm"


@pytest.mark.parametrize("reason", ["needs the extra maniskill", "could not import 'mani_skill'", "needs EGL", "empty"])
def test_a_skip_for_what_is_not_installed_or_is_no_extra_is_let_be(reason: str) -> None:
    assert unjustified(reason, TABLE, {"openai", "anthropic"}) is None


def test_an_extra_that_is_installed_by_half_may_be_skipped() -> None:
    assert unjustified("needs the extra llm", TABLE, {"openai"}) is None


def test_extras_are_read_from_the_distribution_and_leave_out_what_everybody_gets() -> None:
    found = extras("stable-baselines3")
    assert "tensorboard" in found["extra"]
    assert not any("torch" in wanted for wanted in found.values())
