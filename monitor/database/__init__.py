"""The tables, their history, and opening the database that has them."""
