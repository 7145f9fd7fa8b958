"""What a diff will take before it begins: time, memory and disk, from shapes alone, and whether
this host has it. Free of torch.

No figure depends on it.
"""
