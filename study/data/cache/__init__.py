"""Every clip decoded once and kept: the cache, how it is built, and what it holds."""
