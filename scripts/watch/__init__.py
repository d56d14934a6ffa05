"""How an endpoint stands, and what was asked of it."""
