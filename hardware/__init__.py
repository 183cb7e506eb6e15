"""Arms: what one is to a policy, what keeps it safe, and the backends that drive one, real or simulated."""

# By the scheme of an address, `fci://127.0.0.1`; each is a function of the rest of the address and of settings.
ARMS = {
    "mujoco": "hardware.simulated:connect",
    "franky": "hardware.franky:connect",
    "fci": "hardware.libfranka:connect",
    "panda": "hardware.panda:connect",
    "recording": "hardware.recorded:connect",
}
