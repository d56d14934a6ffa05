"""Principals, OAuth and SCIM, signatures of the instance's own key, secret scopes."""
