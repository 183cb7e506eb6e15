"""The benchmark of rewards: the same learner under the expert's reward, a sparse one, and those of a language model."""
