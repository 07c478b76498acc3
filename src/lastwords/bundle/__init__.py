"""The bundle: manifest, facts and evidence, as a directory or one archive of it."""
