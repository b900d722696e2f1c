"""The machine below: files, memory, processors, signals, and random bits that are the same everywhere."""
