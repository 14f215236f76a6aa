"""Tests of the dataset services."""
