"""A stand-in Databricks workspace on loopback, for development, tests and demos.

It imports nothing else of this repository. One module per API area; each declares its routes in a
table (:mod:`.routing`), keeps its state in the one store (:mod:`.store`) and refuses in the words
of the real service (:mod:`.errors`).
"""
