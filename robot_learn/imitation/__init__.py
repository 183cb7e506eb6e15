"""A robot learns to move like a video: critique, edit, train, judge, and never below the best so far."""
