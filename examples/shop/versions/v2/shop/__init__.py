"""Paper & Ink: a small shop."""

VERSION = "v2"
