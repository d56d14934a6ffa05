"""Terraform as Python, and the local workspace that it can be deployed to."""
