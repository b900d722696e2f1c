"""Which trial is next, on which device, and what its end means."""
