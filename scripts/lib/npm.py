"""What checks and tests need from npm, below build/tools."""

import json
import subprocess

from source_files import ROOT

TOOLS = ROOT / "build" / "tools"


def _installed(folder, name, version):
    try:
        return json.loads((folder / "node_modules" / name / "package.json").read_text())["version"] == version
    except FileNotFoundError:
        return False


def install(folder, packages):
    """Installs packages, {name: version}, into a folder unless they are there. Returns its node_modules.

    npm must not work twice in one folder at a time: what may be installed side by side has folders of its own.
    """
    if not all(_installed(folder, name, version) for name, version in packages.items()):
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder,
                        *(f"{name}@{version}" for name, version in packages.items())], check=True)
    return folder / "node_modules"
