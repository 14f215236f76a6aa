"""Tests of the queue and the worker; `fakes` holds the only engine that makes no music."""
