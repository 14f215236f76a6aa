"""The history of the schema, run by studio.storage.migrate."""
