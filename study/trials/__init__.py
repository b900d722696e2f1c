"""A trial: one configuration on one device, the identity of its folds, and the race that may end it."""
