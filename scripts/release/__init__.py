"""From a checkpoint to what an endpoint serves: build, and the manifests that say so."""
