"""Pick the better of two films: who is asked what next, what was answered, and the reward that learns meanwhile."""
