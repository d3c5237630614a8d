"""Runs while the image is built: installs what is missing, and prepares what a sandbox needs."""

import compileall
import importlib.util
import os
import re
import subprocess
import sys

_MODULES = {"pillow": "PIL", "scikit-learn": "sklearn"}
_CACHE = "/opt/antiphon/matplotlib"


def packages() -> None:
    """Install the packages of the build arguments that cannot be imported yet."""
    wanted = os.environ.get("PACKAGES", "").split() + os.environ.get("EXTRA", "").split()
    missing = [package for package in wanted if not _there(package)]
    if missing:
        command = [sys.executable, "-m", "pip", "install", "--no-cache-dir", "--no-compile"]
        subprocess.run([*command, *missing], check=True)


def places() -> None:
    """A user without rights, the folders, bytecode for all, and matplotlib's font cache."""
    os.makedirs("/mnt/data", exist_ok=True)
    os.makedirs("/tmp", exist_ok=True)
    os.chmod("/tmp", 0o1777)
    _append("/etc/passwd", "sandbox:x:65532:65532:sandbox:/mnt/data:/bin/sh\n")
    _append("/etc/group", "sandbox:x:65532:\n")
    for path in {"/opt/antiphon", *filter(os.path.isdir, sys.path)}:
        compileall.compile_dir(path, quiet=2, workers=0)
    if importlib.util.find_spec("matplotlib") is not None:
        os.makedirs(_CACHE, exist_ok=True)
        environment = {**os.environ, "MPLCONFIGDIR": _CACHE, "MPLBACKEND": "Agg"}
        subprocess.run(
            [sys.executable, "-c", "import matplotlib.pyplot"], env=environment, check=True
        )
        for folder, _, names in os.walk(_CACHE):
            for name in names:
                os.chmod(os.path.join(folder, name), 0o644)


def _there(package: str) -> bool:
    name = re.split(r"[\[<>=!~;@ ]", package, maxsplit=1)[0].lower()
    return importlib.util.find_spec(_MODULES.get(name, name.replace("-", "_"))) is not None


def _append(path: str, line: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "a+", encoding="utf-8") as file:
        file.seek(0)
        if line not in file.read():
            file.write(line)


{"packages": packages, "places": places}[sys.argv[1]]()
