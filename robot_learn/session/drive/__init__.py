"""Watch and drive an arm, simulated, fake or real, in a process of its own; or a recording of one."""
