"""The work: what waits, who has claimed it, how it ends, and who is there to do it."""
