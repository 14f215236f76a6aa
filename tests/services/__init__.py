"""Tests of the services, with a stand-in for the engine."""
