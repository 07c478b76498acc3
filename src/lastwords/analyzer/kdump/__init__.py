"""Would the next kernel crash be caught: what the facts say, how large things are, and the verdict."""
