"""Sessions in which a person corrects a robot, their recording, and the benchmark of what is learned from them."""
