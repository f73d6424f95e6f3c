"""The validation of a margin model: what is run, what is judged, and the report that a reviewer reads."""

from pmkit.report.validation.account_book import account_book
from pmkit.report.validation.config import ValidationConfig, load_validation_config
from pmkit.report.validation.parts import ReportTable, Section
from pmkit.report.validation.report import ValidationReport, validate

__all__ = [
    "ReportTable",
    "Section",
    "ValidationConfig",
    "ValidationReport",
    "account_book",
    "load_validation_config",
    "validate",
]
