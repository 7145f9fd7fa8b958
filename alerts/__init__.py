"""Measures behaviour, decides and says so: probes, causes, the policy, alerts, pages."""
