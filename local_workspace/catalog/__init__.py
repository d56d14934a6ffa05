"""Unity Catalog: securables with grants that are enforced, model versions, and the Files API."""
