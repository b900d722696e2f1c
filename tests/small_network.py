"""A configuration whose networks train in a second."""

from search_spaces.config import TrialConfig

SMALL = TrialConfig(
    frames=9,
    crop=24,
    kernel_time=3,
    filters=3,
    hidden=16,
    epochs=2,
    batch_size=6,
    momentum=0.5,
    dropout=0.3,
    precision="float64",
)
