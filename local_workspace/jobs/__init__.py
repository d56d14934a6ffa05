"""Jobs: stored, run as processes of this machine, started by their schedule."""
