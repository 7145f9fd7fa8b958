"""A server that stands in for Slack's Web API, with its limits and faults."""
