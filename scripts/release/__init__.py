"""Bring a checkpoint to an endpoint: build a version, and point the release manifest to it."""
