"""The machines of a cluster: joining them, what they are, and what would keep a study from running there."""
