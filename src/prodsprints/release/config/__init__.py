"""`prodsprints.yaml`: what a repository says about its releases, checked line by line."""

from prodsprints.release.config.config import FILE_NAME, Config, Setting, load, parse
from prodsprints.release.config.errors import ConfigError
from prodsprints.release.config.render import render
from prodsprints.release.config.schema import ReleaseConfig, Rollout
from prodsprints.release.config.units import Seconds, Share

__all__ = [
    "FILE_NAME",
    "Config",
    "ConfigError",
    "ReleaseConfig",
    "Rollout",
    "Seconds",
    "Setting",
    "Share",
    "load",
    "parse",
    "render",
]
