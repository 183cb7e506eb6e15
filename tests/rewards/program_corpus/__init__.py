"""Programs to be accepted and programs to be refused, with a task and an oracle to judge them by."""
