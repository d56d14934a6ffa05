"""The engine over many cells at once: files here, tables and streams later."""
