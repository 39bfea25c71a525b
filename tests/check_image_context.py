#!/usr/bin/env python3
"""Checks that .dockerignore lets every folder that the programs are built from into the images' build."""
import pathlib
import re
import sys

top = pathlib.Path(__file__).resolve().parent.parent
folders = re.findall(r"^add_subdirectory\((\w+)\)", (top / "CMakeLists.txt").read_text(), re.MULTILINE)
allowed = (top / ".dockerignore").read_text().split("\n")
missing = [name for name in folders if "!" + name not in allowed]
print(f"{len(folders)} folders")
if missing or not folders:
    sys.exit(f".dockerignore: add a line !NAME for {', '.join(missing)}, which CMakeLists.txt builds")
