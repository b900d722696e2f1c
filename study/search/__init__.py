"""Proposals of a search, the same for any number of workers."""
