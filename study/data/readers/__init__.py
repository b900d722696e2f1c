"""One reader a dataset: from its owners' files to a ClipIndex."""
