"""The rules of promotion, as pure functions over evidence that somebody else gathered.

``verdict`` judges a canary, ``signatures`` a change of the interface, ``likeness`` two embeddings
of the same cells, ``metrics`` an embedding of labelled cells. ``gates`` reports all of it at once.
Nothing here talks to a registry, an endpoint or a cluster.
"""
