"""Plain Python and torch: loads checkpoints and makes audio. Importing this package does not import torch."""
