"""How the bundled mini checkpoints are made: composer, training, evaluation."""
