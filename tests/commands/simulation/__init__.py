"""Lives of commands, simulated: the platform's own decisions, without its parts.

Clock, broker, adapters and devices are functions; what happens to the command is
decided by the code that the services run. A seed is one life. It is replayed, step by
step, by

    python -m tests.commands.simulation SEED
"""
