"""Objects that are no securables, with one access control list for all kinds.

Folders and dashboards, which are nothing but such objects, are here too.
"""
