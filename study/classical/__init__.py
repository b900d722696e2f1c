"""Baselines that no gradient trains: the commonest class, and LBP-TOP with a support vector machine."""
