"""Acceptance cases that are read as documents: each folder holds the TOML files that go in and
`case.t`, the commands with what they say and what they send. A folder lies under the state that it
starts from: `nothing` (no workspace), `empty` (a workspace), `released` (a deployed registry with
three validated versions) or `served` (version 1 behind the endpoint).

`case.t` has the form that cram made known: text that is not indented explains, `  $ command` runs,
indented lines below it are what it says, `  [3]` is its exit code. A line `  ...` stands for any
lines. Beside `scgpt` and the shell's own there are the commands of `bin`. After a wanted change,
`pytest tests/acceptance/cases --rewrite-cases` writes down what is said now: read the difference.
"""
