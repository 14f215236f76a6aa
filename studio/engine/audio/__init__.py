"""Audio in and out of files, and what can be measured on it."""
