"""A dataset of rendered faces whose answer is known."""
