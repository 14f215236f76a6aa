"""Tests of the library's rooms, each on SQLite and on PostgreSQL."""
