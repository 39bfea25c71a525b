"""Checks our encoder and decoder against python3-msgpack and protocol/generate.py's reading of the spec.

usage: check_protocol.py PROTOCOL_TOOL
"""
import json
import math
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE / "protocol"))

import generate  # noqa: E402
import msgpack  # noqa: E402

TOOL = sys.argv[1]
failures = []


def tool(*arguments):
    result = subprocess.run([TOOL, *map(str, arguments)], capture_output=True, text=True, check=True)
    return result.stdout.splitlines()


def fields_of(paths):
    """(path, what our decoder says of it) for files named KIND-..."""
    pairs = [word for path in paths for word in (path.name.split("-")[0], path)]
    return zip(paths, tool("fields", *pairs), strict=True)


def same(a, b):
    """Equal, where floats may have been rounded to float32 on the way."""
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) or isinstance(b, float):
        return math.isclose(a, b, rel_tol=2.0**-24)
    return a == b


def check(what, ok, detail=""):
    if not ok:
        failures.append(what)
        print("FAILED", what, detail)


def check_accepted(folder):
    for path, answer in fields_of(sorted(folder.glob("*.bin"))):
        expected = json.loads(path.with_suffix(".json").read_text())
        check(path.name, answer.startswith("{") and same(json.loads(answer), expected), answer)


def check_refused(folder):
    for path, answer in fields_of(sorted(folder.glob("*.bin"))):
        check(path.name, answer == path.name.split(".")[-2], answer)


def check_samples():
    """What our encoder wrote, decoded by python3-msgpack, is what our decoder says it is."""
    with tempfile.TemporaryDirectory() as folder:
        messages = {}
        for number, line in enumerate(tool("samples")):
            kind, data = line.split()[0], bytes.fromhex(line.split()[1])
            path = pathlib.Path(folder) / f"{kind}-{number}"
            path.write_bytes(data)
            messages[path] = kind, msgpack.unpackb(data, raw=False, strict_map_key=True)
        for path, answer in fields_of(list(messages)):
            kind, message = messages[path]
            check("sample " + path.name + ": v comes first", list(message.items())[0] == ("v", 1))
            check("sample " + path.name, same(json.loads(answer), generate.fields(kind, message)), answer)


def check_generated():
    """The vectors on disk are the ones generate.py makes."""
    made = {f"accepted/{kind}-{case}.bin": data for kind, case, _, data in generate.accepted()}
    made.update((f"refused/{kind}-{case}.FL_ERR_{st}.bin", data) for kind, case, st, data in generate.refused())
    kept = {f"{path.parent.name}/{path.name}": path.read_bytes() for path in (HERE / "protocol").glob("*/*.bin")}
    check("vectors on disk", made == kept, sorted(made.keys() ^ kept.keys()))
    return len(kept)


check_accepted(HERE / "protocol" / "accepted")
check_refused(HERE / "protocol" / "refused")
check_samples()
count = check_generated()
print(f"{count} vectors, {len(failures)} failures")
sys.exit(1 if failures or count < 100 else 0)
