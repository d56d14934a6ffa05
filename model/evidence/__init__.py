"""Everything that is found out about a version before it is registered.

``labelled`` reads cells of known types, ``evaluation`` scores a checkpoint on them beside PCA and
the champion, ``baseline`` keeps what drift is measured against, ``clean`` asks the logged model in
a process and an environment of its own, ``card`` writes all of it down for people.
"""
