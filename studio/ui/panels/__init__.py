"""The panels of the pages that make music, one module a purpose; every widget's value lives in the field registry."""
