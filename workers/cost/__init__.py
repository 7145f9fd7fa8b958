"""What a diff will take before it begins: time, memory and disk, from shapes alone. Free of torch.

No result depends on it.
"""
