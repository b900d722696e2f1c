"""Predictions and trials, from wherever they come, checked before anything is computed."""
