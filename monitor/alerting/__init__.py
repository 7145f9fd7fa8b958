"""The alerts as rows of the database: what has happened, and what is to be said of it where."""
