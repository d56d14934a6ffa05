"""The work of operators, callable from the command line and from jobs alike."""
