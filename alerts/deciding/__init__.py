"""From scores to a verdict: statistics, nulls, and the policy as data."""
