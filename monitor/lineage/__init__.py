"""Lines and their versions: which are trusted, what was decided when, and by whom."""
