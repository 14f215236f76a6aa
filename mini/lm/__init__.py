"""How the bundled 5 Hz language model is made: what it reads and writes, its training, export and evaluation."""
