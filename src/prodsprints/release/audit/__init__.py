"""What a repository is, read from its files with file and line; nothing of it is ever run here."""

from prodsprints.release.audit.examine import audit
from prodsprints.release.audit.values import Application, Audit, Finding, Question, Refusal

__all__ = ["Application", "Audit", "Finding", "Question", "Refusal", "audit"]
