"""Metrics, intervals and tests of pooled confusions."""
