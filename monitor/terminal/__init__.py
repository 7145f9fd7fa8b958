"""What the commands show a person: tables and text, made of plain data."""
