"""The process of an instance: the application that every request passes, faults, control routes."""
