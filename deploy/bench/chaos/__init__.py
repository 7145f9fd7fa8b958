"""`latentwatch bench chaos`: schedules of faults, after which nothing is lost or done twice."""
