"""The command line: thin, one verb a job."""

from pmkit.cli.main import app

__all__ = ["app"]
