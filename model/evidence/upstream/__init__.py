"""Unmodified upstream scGPT: the worker that runs it, and our end of the pipe to it."""
