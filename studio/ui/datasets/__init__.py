"""The Dataset page, step by step."""
