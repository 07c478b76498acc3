"""The built-in reports, one module per format."""
