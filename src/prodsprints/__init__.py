"""ProdSprints: from commit to compliant production, with a risk register that proves itself."""

__version__ = "0.1.0"
