"""A server that stands in for PagerDuty's Events API."""
