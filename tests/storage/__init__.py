"""Tests of the database and the artifact store."""
