"""A stand-in for torchtext, which no longer loads beside a current torch.

Upstream scGPT uses one class of it. Only the reference environment (``make reference``) ever sees
this.
"""
