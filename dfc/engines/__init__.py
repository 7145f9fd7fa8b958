"""Language models: their states, their answers and scores, with edits and without."""
