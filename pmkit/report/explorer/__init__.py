"""What if: move spot and vol, add a leg, and watch the requirement, in code or with sliders."""

from pmkit.report.explorer.margin_explorer import MarginExplorer
from pmkit.report.explorer.panel import ExplorerPanel
from pmkit.report.explorer.picture import ExplorerPicture
from pmkit.report.explorer.view import ExplorerView

__all__ = ["ExplorerPanel", "ExplorerPicture", "ExplorerView", "MarginExplorer"]
