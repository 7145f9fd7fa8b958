"""How fast does training go, against a plain implementation and against the hardware?"""
