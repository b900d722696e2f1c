"""The folds of a group trained as one network."""
