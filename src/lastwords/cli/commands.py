"""The built-in commands, registered by the hook that outsiders use."""
