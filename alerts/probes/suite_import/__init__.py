"""Public data sets, brought by the user, as probe suites."""
