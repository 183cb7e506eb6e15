"""A search for a better reward than one try gives: `run.search_reward`, on the state of `state.Search`."""
