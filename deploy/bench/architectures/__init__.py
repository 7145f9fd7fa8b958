"""Two language models of different architectures: does the crosscoder find what one has learnt?"""
