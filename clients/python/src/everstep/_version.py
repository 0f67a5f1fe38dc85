"""Version of the package; pyproject.toml reads it from here."""

__version__ = "0.1.0"

SDK_NAME = f"python/{__version__}"
