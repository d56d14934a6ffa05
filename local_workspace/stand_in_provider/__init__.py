"""A stand-in for the Terraform provider ``databricks/databricks``, for the local workspace only."""
