"""Take over an endpoint that was made elsewhere: settings, manifest, Terraform state."""

from __future__ import annotations

from .flow import Adoption, adopt

__all__ = ["Adoption", "adopt"]
