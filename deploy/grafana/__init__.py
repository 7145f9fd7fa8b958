"""The dashboards, made from Python."""
