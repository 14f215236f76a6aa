"""The pieces of the History page: looking for takes, what can be done with one or several, the trash, families."""
