"""A stand-in Databricks workspace on loopback, for development, tests and demos.

It imports nothing else of this repository but the parser of schedules. Each room holds one part of
the API. A module declares its routes in a table (:mod:`.core.routing`), keeps its state in the one
store (:mod:`.core.store`) and refuses in the words of the real service (:mod:`.core.errors`).
"""
