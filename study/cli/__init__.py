"""Options in, text out: the command line."""
