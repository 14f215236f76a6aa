"""Adapters: small trained additions to a DiT."""
