"""A studio for making music with ACE-Step 1.5, hosted by a team for itself."""

__version__ = "0.1.0"
