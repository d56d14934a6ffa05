"""SQL alerts: stored, evaluated, told to an outbox through notification destinations."""
