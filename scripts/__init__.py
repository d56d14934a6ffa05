"""What operators run: callable from the command line and from jobs alike."""
