"""Real trials of many methods in a table, and whole campaigns that search it in virtual time."""
