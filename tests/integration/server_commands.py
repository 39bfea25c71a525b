"""The command line of fl-server: init, serve, runs, export, errors and exit codes, and what outlives kill -9."""
import json
import resource
import signal
import stat
import struct
import subprocess
import unittest

from deployment import PROGRAM, SPEC, Deployment, create_run, run


class Commands(unittest.TestCase):
    def setUp(self):
        self.server = Deployment()
        self.addCleanup(self.server.close)

    def test_init_keeps_secrets_and_never_overwrites(self):
        for name in ("authority/root.key", "authority/issuing.key", "authority/server.key", "admin.token", "receipt.key"):
            self.assertEqual(stat.S_IMODE((self.server.dir / name).stat().st_mode), 0o600, name)
        before = self.server.root.read_bytes()
        done = run(PROGRAM, "init", self.server.dir, expect=1)
        self.assertIn("not empty", done.stderr)
        self.assertEqual(self.server.root.read_bytes(), before)

    def test_init_that_fails_leaves_nothing_and_can_be_repeated(self):
        folder = self.server.folder / "again"
        for size in (0, 100, 300, 700, 2000, 10000):  # what a file may have: each fails at another step

            def limit(size=size):
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

            done = subprocess.run([PROGRAM, "init", folder, "--host", "127.0.0.1"], capture_output=True, text=True, timeout=120,
                                  restore_signals=False, preexec_fn=limit)
            self.assertEqual(done.returncode, 1, f"{size}: {done.stdout}{done.stderr}")
            self.assertIn(str(folder), done.stderr)
            self.assertEqual(list(folder.rglob("*")), [], size)
        run(PROGRAM, "init", folder, "--host", "127.0.0.1")

    def test_damaged_certificates_and_secrets_are_named_with_what_to_do(self):
        pem, key, line = b"-----BEGIN CERTIFICATE-----\n", b"-----BEGIN EC PRIVATE KEY-----\n", b"00"
        for name, other in (("authority/root.pem", pem), ("authority/issuing.pem", pem), ("authority/issuing.key", key),
                            ("authority/server.pem", pem), ("authority/server.key", key), ("receipt.key", line), ("admin.token", line)):
            path = self.server.dir / name
            right = path.read_bytes()
            middle = len(right) // 2
            for wrong in (b"", right[:middle], other, right[:middle] + bytes([right[middle] ^ 0x80]) + right[middle + 1:], None):
                path.unlink(missing_ok=True)
                if wrong is not None:
                    path.write_bytes(wrong)
                done = run(PROGRAM, "serve", "--config", self.server.dir / "server.yaml", expect=None)
                self.assertIn(done.returncode, (1, 7), f"{name}: {done.stderr}")
                for part in (str(path), "backup"):
                    self.assertIn(part, done.stderr, f"{name} as {wrong}")
            path.write_bytes(right)
        # Each whole, but of two authorities: no connection would work.
        stranger = Deployment()
        self.addCleanup(stranger.close)
        for name in ("root.pem", "issuing.pem", "issuing.key", "server.pem", "server.key"):
            path = self.server.dir / "authority" / name
            right = path.read_bytes()
            path.write_bytes((stranger.dir / "authority" / name).read_bytes())
            done = run(PROGRAM, "serve", "--config", self.server.dir / "server.yaml", expect=7)
            self.assertIn("backup", done.stderr)
            path.write_bytes(right)
        self.server.start()

    def test_of_two_inits_at_once_none_takes_what_the_other_has_made(self):
        for i in range(10):
            folder = self.server.folder / f"twice-{i}"
            both = [subprocess.Popen([PROGRAM, "init", str(folder), "--host", "127.0.0.1", "--json"], stdout=subprocess.PIPE,
                                     stderr=subprocess.DEVNULL, text=True) for _ in range(2)]
            made = [json.loads(out)["ca_fingerprint"] for out, code in [(p.communicate()[0], p.returncode) for p in both] if code == 0]
            self.assertLessEqual(len(made), 1)
            for fingerprint in made:
                text = run("openssl", "x509", "-in", folder / "authority" / "root.pem", "-noout", "-fingerprint", "-sha256").stdout
                self.assertEqual(text.strip().split("=")[-1].replace(":", "").lower(), fingerprint)
                self.assertTrue((folder / "server.yaml").is_file() and (folder / "admin.token").is_file())

    def test_R1_one_server_per_folder(self):
        self.server.start()
        done = run(PROGRAM, "serve", "--config", self.server.dir / "server.yaml", expect=6)
        self.assertIn("another process", done.stderr)

    def test_sigterm_ends_cleanly_and_commands_then_say_so(self):
        self.server.start()
        self.assertEqual(self.server.stop(), 0)
        self.assertFalse((self.server.dir / "admin.sock").exists())
        self.assertIn("fl-server serve", self.server.command("run", "list", expect=4).stderr)

    def test_kill_and_restart_keep_registry_and_runs(self):
        self.server.start()
        identity = self.server.enrolled("survivor")
        revoked = self.server.enrolled("revoked")
        self.server.command("clients", "revoke", revoked.client)
        created = create_run(self.server)
        self.server.kill()
        self.server.start()
        self.assertEqual(self.server.request("GET", "/v1/runs", None, revoked).status, 403)
        runs = self.server.request("GET", "/v1/runs", None, identity).msgpack()["runs"]
        self.assertEqual([r["name"] for r in runs], ["digits"])
        self.assertEqual(self.server.command_json("run", "list")["runs"][0]["digest"], created["digest"])

    def test_wrong_configuration_names_file_line_key_and_range(self):
        config = self.server.dir / "server.yaml"
        lines = config.read_text().splitlines()
        at = next(i for i, line in enumerate(lines) if line.strip().startswith("threads:"))
        for text, words in (("  threads: 0", ("threads", "1..256")), ("  thread: 1", ("thread",))):
            config.write_text("\n".join(lines[:at] + [text] + lines[at + 1:]))
            done = run(PROGRAM, "serve", "--config", config, expect=3)
            for word in (f"server.yaml:{at + 1}", *words):
                self.assertIn(word, done.stderr)

    def test_wrong_spec_names_file_line_key_and_range(self):
        self.server.start()
        spec = self.server.folder / "bad.yaml"
        for wrong, words in (("batch_size: 3\n", ("bad.yaml:13", "batch_size")), ("server_rate: -1\n", ("bad.yaml:13", "server_rate")),
                             ("norm_limit: 1\nrounds: 3\n", ("rounds",))):
            spec.write_text(SPEC.format(name="bad", codec="dense", target=1) + wrong)
            done = self.server.command("run", "create", spec, expect=3)
            for word in words:
                self.assertIn(word, done.stderr)
        spec.write_text(SPEC.format(name="bad", codec="dense", target=1).replace("inputs: 4", "inputs: 0"))
        self.assertIn("model.inputs", self.server.command("run", "create", spec, expect=3).stderr)
        spec.write_text("name: bad\n")
        self.assertIn("bad.yaml", self.server.command("run", "create", spec, expect=3).stderr)
        self.assertEqual(self.server.command_json("run", "list")["runs"], [])

    def test_run_commands(self):
        self.server.start()
        run_status = create_run(self.server)
        self.assertEqual((run_status["elems"], run_status["state"], run_status["round"]), (43, "active", 1))
        self.server.command("run", "create", self.server.folder / "digits.yaml", expect=1)  # it exists already
        self.assertIn("digits", self.server.command("run", "list").stdout)
        self.assertIn("43 parameters", self.server.command("run", "status", "digits").stdout)
        self.server.command("run", "status", "absent", expect=1)
        self.server.command("run", "status", "../etc", expect=2)
        self.server.command("run", "stop", "digits")
        lines = self.server.command("run", "status", "digits", "--follow", "--json").stdout.splitlines()
        self.assertTrue(all("round" in json.loads(line) for line in lines))
        self.assertEqual(self.server.command_json("run", "status", "digits")["runs"][0]["state"], "ended")

    def test_export_of_the_first_model(self):
        self.server.start()
        create_run(self.server)
        target = self.server.folder / "m.safetensors"
        told = self.server.command_json("run", "export", "digits", "--to", target)
        data = target.read_bytes()
        size = struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8:8 + size])
        self.assertEqual(header.pop("__metadata__")["run"], "digits")
        self.assertEqual({n: t["shape"] for n, t in header.items()},
                         {"layers.0.weight": [5, 4], "layers.0.bias": [5], "layers.1.weight": [3, 5], "layers.1.bias": [3]})
        self.assertEqual(max(t["data_offsets"][1] for t in header.values()), len(data) - 8 - size)
        flat = self.server.folder / "m.npy"
        self.server.command("run", "export", "digits", "--to", flat)
        vector = flat.read_bytes()
        self.assertEqual(vector[:8], b"\x93NUMPY\x01\x00")
        start = 10 + struct.unpack("<H", vector[8:10])[0]
        self.assertEqual((start % 64, vector[start:]), (0, data[8 + size:]))
        self.assertIn("(43,)", vector[10:start].decode())
        status = self.server.command_json("run", "status", "digits")["runs"][0]
        self.assertEqual(told["version"], f"{status['epoch']}.0.{status['digest']}")
        self.server.command("run", "export", "digits", "--to", self.server.folder / "m.txt", expect=2)
        self.server.command("run", "export", "digits", "--to", self.server.folder / "absent" / "m.npy", expect=1)

    def test_R18_the_first_model_from_a_file(self):
        self.server.start()
        create_run(self.server)
        exported, first = self.server.folder / "m.safetensors", self.server.folder / "first.safetensors"
        self.server.command("run", "export", "digits", "--to", exported)
        data = bytearray(exported.read_bytes())
        data[-4:] = struct.pack("<f", 0.25)
        first.write_bytes(data)
        spec = self.server.folder / "next.yaml"
        spec.write_text(SPEC.format(name="next", codec="dense", target=1))
        self.server.command("run", "create", spec, "--initial-model", first)
        self.server.kill()
        self.server.start()
        self.server.command("run", "export", "next", "--to", exported)
        size = struct.unpack("<Q", data[:8])[0]
        self.assertEqual(exported.read_bytes()[-43 * 4:], bytes(data[8 + size:]))
        spec.write_text(SPEC.format(name="other", codec="dense", target=1))
        for name, content, expect, words in (("absent", None, 1, ("absent", "No such file")),
                                             ("short", data[:-1], 8, ("short", "data_offsets")),
                                             ("nan", data[:-4] + struct.pack("<f", float("nan")), 8, ("nan", "not finite")),
                                             ("text", b"no model at all", 8, ("text", "header"))):
            path = self.server.folder / name
            if content is not None:
                path.write_bytes(content)
            error = self.server.command("run", "create", spec, "--initial-model", path, expect=expect).stderr
            for word in words:
                self.assertIn(word, error)
        self.assertEqual(len(self.server.command_json("run", "list")["runs"]), 2)

    def test_codecs_are_listed_with_class_settings_and_summary(self):
        codecs = json.loads(run(PROGRAM, "codecs", "--json").stdout)
        rows = {codec["name"]: codec for codec in codecs}
        self.assertEqual(len(rows), len(codecs))
        self.assertEqual(rows["int-threshold"], {"name": "int-threshold", "class": "absolute", "settings": ["lambda", "step_shift"],
                                                 "summary": "coordinates of magnitude lambda or more, rounded to a power-of-two grid"})
        self.assertEqual(rows["qsparse"]["settings"], ["ratio", "bits", "bucket"])
        self.assertEqual((rows["dense"]["class"], rows["dense"]["settings"]), ("lossless", []))
        self.assertLessEqual({codec["class"] for codec in codecs}, {"lossless", "absolute", "contraction", "unbiased"})
        lines = run(PROGRAM, "codecs").stdout.splitlines()[1:]
        for line, codec in zip(lines, codecs, strict=True):
            words = line.split(None, 3)
            self.assertEqual(words[:3], [codec["name"], codec["class"], ",".join(codec["settings"]) or "-"])
            self.assertEqual(words[3], codec["summary"])

    def test_help_of_every_command_has_examples_and_exit_codes(self):
        for words in (["init"], ["serve"], ["token", "create"], ["clients", "list"], ["clients", "revoke"], ["run", "create"],
                      ["run", "list"], ["run", "status"], ["run", "stop"], ["run", "export"]):
            text = run(PROGRAM, *words, "--help").stdout
            self.assertIn("Examples:", text)
            self.assertIn("Exit codes:", text)
        self.assertEqual(subprocess.run([PROGRAM, "run", "dance"], capture_output=True).returncode, 2)
        self.server.command("token", "create", "--ttl", "soon", expect=2)


if __name__ == "__main__":
    unittest.main()
