"""The proof of the content: rules that read, and answers and lessons that run."""

from coursework.authoring.audit.rules import audit_places, audit_structure
from coursework.authoring.audit.subject import Finding, Subject

__all__ = ["Finding", "Subject", "audit_places", "audit_structure"]
