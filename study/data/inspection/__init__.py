"""A dataset held against what is asked of it, before anything is trained."""
