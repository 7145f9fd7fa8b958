"""`latentwatch bench load`: hundreds of versions pushed within a minute, all decided once."""
