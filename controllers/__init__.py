"""Controllers: planners on a simulator, model predictive control, and what people's corrections teach them."""
