"""Scripts that break a running studio on purpose and check what is left."""
