"""How many tokens of two models can be paired, on which kinds of text?"""
