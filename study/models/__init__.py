"""The networks, in folded form (F networks of one architecture as one module), and their geometry."""
