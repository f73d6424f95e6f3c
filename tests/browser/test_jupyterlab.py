"""The explorer in JupyterLab: all cells run, the panel shows, and its picture follows the slider."""

from __future__ import annotations

import importlib.util
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

NOTEBOOK = "margin_explorer_widgets.ipynb"
OPENED = "[...(window.jupyterapp?.shell?.widgets('main') ?? [])].find(widget => widget.context)"
#: Source of the first picture of the panel; a new picture is a new blob.
PICTURE = "document.querySelector('img.widget-image, .widget-image img')?.src"
HANDLE = """(() => {
    const found = document.querySelector('.widget-slider .noUi-handle');
    found.scrollIntoView({block: 'center'});
    const at = found.getBoundingClientRect();
    const rail = document.querySelector('.widget-slider .noUi-target').getBoundingClientRect();
    return [at.x + at.width / 2, at.y + at.height / 2, rail.width]
})()"""
READOUT = "document.querySelector('.widget-readout').innerText"


def test_the_picture_follows_the_slider_in_jupyterlab(
    tab: Any, served: Any, wait_for: Any, root: Path, tmp_path: Path, port: int
) -> None:
    if importlib.util.find_spec("jupyterlab") is None:
        pytest.skip("jupyterlab is not installed")
    copy = tmp_path / "notebooks"
    copy.mkdir()
    shutil.copy(root / "notebooks" / NOTEBOOK, copy)
    (recipe,) = re.findall(r"^lab:.*\n\t(.*)$", (root / "Makefile").read_text(), re.MULTILINE)
    command = recipe.replace("$(BIN)/python", f"exec '{sys.executable}'")
    command = re.sub(r"\$\(if \$\(filter 0.*?--allow-root\)", "--allow-root", command)
    command = command.replace("--notebook-dir=notebooks", f"--notebook-dir='{copy}'")
    flags = "--no-browser --expose-app-in-browser --IdentityProvider.token= --ServerApp.ip=127.0.0.1"
    command = command.replace("$(LAB_FLAGS)", f"{flags} --port={port}")
    served(["sh", "-c", command], f"http://127.0.0.1:{port}/api", root)
    # a window without focus has no current notebook
    tab.send("Emulation.setFocusEmulationEnabled", enabled=True)
    tab.send("Page.navigate", url=f"http://127.0.0.1:{port}/lab/tree/{NOTEBOOK}")

    wait_for("the notebook", lambda: tab.run(f"Boolean({OPENED}?.context?.isReady)"), 120.0)
    tab.run(f"{OPENED}.context.sessionContext.ready.then(() => true)")
    tab.run(f"window.jupyterapp.shell.activateById({OPENED}.id)")
    tab.run("void window.jupyterapp.commands.execute('notebook:run-all-cells')")
    first = wait_for("the picture", lambda: tab.run(PICTURE), 180.0)
    before = tab.run(READOUT)
    x, y, width = tab.run(HANDLE)
    tab.drag((x, y), (x - 0.2 * width, y))
    wait_for("another picture", lambda: tab.run(PICTURE) not in (None, first), 60.0)
    assert tab.run(READOUT) != before
    outside = [
        a for a in tab.asked_for() if not re.match(rf"(http|ws)://127\.0\.0\.1:{port}/|data:|blob:", a)
    ]
    assert outside == []
