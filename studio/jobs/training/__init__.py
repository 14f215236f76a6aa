"""Training runs: each is a process of its own that outlives the worker which started it."""
