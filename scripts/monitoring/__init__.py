"""What operators read from the inference table."""
