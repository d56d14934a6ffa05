"""Model Serving: endpoints, their rollout, scoring processes, queries, inference tables."""
