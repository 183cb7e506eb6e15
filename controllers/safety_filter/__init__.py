"""The nearest action to a policy's that keeps hard limits and learned constraints; what it returns was verified.

`ReactiveFilter` looks one control step ahead and serves whatever stands still on command; `PredictiveFilter` plans an
end at rest and serves what has momentum. `SafePolicy` wraps a policy into either.
"""
