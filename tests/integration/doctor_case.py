"""What the tests of both doctors share: one look, and what must be in it. (deployment.py has the processes.)"""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest


def snapshot(folder):
    """Names, modes and bytes of everything in it."""
    return {str(p.relative_to(folder)): (p.lstat().st_mode, p.read_bytes() if p.is_file() else None) for p in sorted(folder.rglob("*"))}


class DoctorCase(unittest.TestCase):
    def diagnose(self, words, folders, expect=None, environment=None, **options):
        """Runs a doctor, which must leave the folders as they are; its findings are in self.findings then."""
        if "user" in options:  # who may not reach the program where it lies
            reachable = pathlib.Path(tempfile.mkdtemp(prefix="fl-", dir="/tmp"))
            self.addCleanup(shutil.rmtree, reachable)
            reachable.chmod(0o755)
            words = [shutil.copy(words[0], reachable), *words[1:]]
        before = [snapshot(folder) for folder in folders]
        done = subprocess.run([*map(str, words), "--json"], capture_output=True, text=True, timeout=120,
                              env=dict(os.environ, **(environment or {})), **options)
        self.assertIn(done.returncode, (0, 1) if expect is None else (expect,), done.stdout + done.stderr)
        self.assertEqual(done.stderr, "")
        self.findings = json.loads(done.stdout)
        self.assertEqual(done.returncode, int(any(f["outcome"] == "fail" for f in self.findings)))
        for finding in self.findings:
            self.assertEqual(finding["fix"] is None, finding["outcome"] == "ok", finding)
        self.assertEqual([snapshot(folder) for folder in folders], before)

    def expect(self, name, outcome, found=(), fix=()):
        """One finding says all of this; returns it."""
        for finding in self.findings:
            if finding["name"] == name and finding["outcome"] == outcome and all(part in finding["found"] for part in found):
                for part in fix:
                    self.assertIn(part, finding["fix"])
                return finding
        self.fail(f"no {outcome} {name} with {found} in\n" + "\n".join(map(str, self.findings)))

    def bad(self):
        return {(f["name"], f["outcome"]) for f in self.findings if f["outcome"] in ("warn", "fail")}

    def mounted(self, point, *options):
        """A small file system at that folder, which is made."""
        point.mkdir(exist_ok=True)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "none", point], capture_output=True).returncode:
            self.skipTest("no file system of its own can be mounted here")
        self.addCleanup(lambda: subprocess.run(["umount", "-l", point], check=True))

    def fill(self, path):
        """Fills the file system that path is on."""
        ballast = os.open(path, os.O_CREAT | os.O_WRONLY)
        try:
            with self.assertRaises(OSError):
                while True:
                    os.write(ballast, bytes(4096))
        finally:
            os.close(ballast)
