"""What live workers publish about themselves, and what it says about the weights in use."""
