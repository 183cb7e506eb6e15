"""Safety constraints learned from pushes: corrections become cuts, cuts a set of hypotheses, the set a centre."""
