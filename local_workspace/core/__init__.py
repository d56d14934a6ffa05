"""Under every room: the store, the clock, the route table, refusals, child processes, schedules."""
