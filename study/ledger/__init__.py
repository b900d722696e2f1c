"""A study's memory: one SQLite file with one writer, and what reads it."""
