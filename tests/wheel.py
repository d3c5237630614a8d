"""Use the built wheel as a stranger would: a clean environment, the demo, the types.

Run by `make wheel`, not by pytest: it installs, which takes a while.
"""

import os
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command away from the checkout, in the new environment; gives what it printed."""
    bin_ = Path(command[0]).parent
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment["VIRTUAL_ENV"] = str(bin_.parent)
    environment["PATH"] = os.pathsep.join([str(bin_), environment.get("PATH", "")])
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**environment, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def main(folder: Path) -> None:
    """Check the one wheel in a folder."""
    (wheel,) = folder.resolve().glob("antiphon-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "antiphon/py.typed" in names, "the wheel must carry its type marker"
    assert not [name for name in names if name.endswith(".pyi")], "door stubs stay out of the wheel"
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        venv.create(place / "env", with_pip=True)
        bin_ = place / "env" / ("Scripts" if os.name == "nt" else "bin")
        whole = f"{wheel}[fast,server,search]"
        run(bin_ / "python", "-m", "pip", "install", "--quiet", whole, "pyright", cwd=place)
        said = run(bin_ / "antiphon", "demo", "--fast", cwd=place)
        assert "interpreting" in said, said
        charts = list(place.glob("antiphon-demo.*"))
        assert charts, f"the demo must save its chart: {said}"
        types = run(bin_ / "pyright", "--verifytypes", "antiphon", "--ignoreexternal", cwd=place)
        assert "Type completeness score: 100%" in types, types
    print(f"{wheel.name}: the demo ran, {charts[0].name} was saved, its types are complete")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
