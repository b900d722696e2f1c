"""From videos on disk to the arrays that a trial trains on."""
