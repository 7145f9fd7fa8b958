"""How long a whole check takes, from the push to the verdict, and how that grows."""
