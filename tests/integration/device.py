"""Whole runs with clients on an emulated device: the same model as on the CPU, through kills and failures of the device."""
import ctypes
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from lab import Lab, wait_until  # noqa: E402

BINARIES = pathlib.Path(os.environ["FL_CLIENT"]).parent
PLUGINS = pathlib.Path(os.environ["FL_TEST_PLUGINS"])
ODD = {"FL_PLUGIN_DIR": str(PLUGINS), "LD_LIBRARY_PATH": str(PLUGINS / "driver")}  # tests/support/odd_plugin.c
CLIENTS, ROUNDS = 3, 4
SPEC = """name: digits
seed: 3
rounds: {rounds}
model: {{kind: mlp, inputs: 64, hidden: [16], outputs: 10}}
codec: {{name: {codec}}}
train: {{steps: {steps}, batch: 24}}
round: {{target: 3, minimum: 3, deadline_ms: 120000}}
"""


def has_driver():
    try:
        ctypes.CDLL("libcuda.so.1")
        return True
    except OSError:
        return False


class Device(unittest.TestCase):
    def lab(self, codec="int-threshold", rounds=ROUNDS, steps=12):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        lab = Lab(folder.name, BINARIES)
        self.addCleanup(lab.stop_all)
        token = lab.init(CLIENTS)["token"]
        lab.start_server()
        lab.server_ready()
        (lab.folder / "run.yaml").write_text(SPEC.format(codec=codec, rounds=rounds, steps=steps))
        lab.admin("run", "create", lab.folder / "run.yaml")
        for i in range(CLIENTS):
            lab.enroll(f"c{i}", token)
        return lab

    def start(self, lab, i, device, environment=None, **settings):
        config = lab.write_client(f"c{i}", i, CLIENTS, "digits", device=device, **settings)
        lab.environment = dict(os.environ, OPENBLAS_NUM_THREADS="1", **(environment or {}))
        lab.start_client(f"c{i}", config)

    def log(self, lab, i):
        return (lab.folder / f"c{i}.log").read_text()

    def finish(self, lab):
        """Waits for all clients; the digest of the last version."""
        for name, process in lab.clients.items():
            self.assertEqual(process.wait(timeout=240), 0, (lab.folder / f"{name}.log").read_text()[-2000:])
        status = lab.admin("run", "status", "digits")["runs"][0]
        self.assertEqual(status["state"], "ended")
        return status["digest"]

    def run_all(self, devices, codec="int-threshold", **settings):
        lab = self.lab(codec)
        for i, device in enumerate(devices):
            self.start(lab, i, device, **settings)
        return self.finish(lab), lab

    def test_a_run_on_the_device_ends_in_the_model_of_the_cpu(self):
        for codec in ("int-threshold", "topk", "dense"):
            with self.subTest(codec=codec):
                expected, _ = self.run_all(["cpu"] * CLIENTS, codec)
                found, lab = self.run_all(["emu", "emu", "cpu"], codec)
                self.assertEqual(found, expected)
                self.assertIn("device=emu", self.log(lab, 0))
                self.assertNotIn("device=", self.log(lab, 2))

    def test_data_that_do_not_fit_come_over_the_bus(self):
        expected, _ = self.run_all(["cpu"] * CLIENTS)
        found, lab = self.run_all(["emu"] * CLIENTS, device_memory=250000)
        self.assertEqual(found, expected)
        self.assertIn("train=streamed", self.log(lab, 1))

    def test_killed_and_started_again(self):
        expected = self.finish(self.started(["cpu"] * CLIENTS))
        lab = self.started(["emu"] * CLIENTS)
        for kill in range(4):
            seen = self.log(lab, 0).count("outcome=committed")
            wait_until(lambda: self.log(lab, 0).count("outcome=committed") > seen or lab.clients["c0"].poll() is not None, 120, "a round")
            if lab.clients["c0"].poll() is not None:
                break
            lab.clients["c0"].send_signal(signal.SIGKILL)
            lab.clients["c0"].wait()
            self.start(lab, 0, "emu" if kill % 2 else "cpu")  # the folder is the same for both
        self.assertGreater(kill, 1)
        self.assertEqual(self.finish(lab), expected)

    def started(self, devices):
        lab = self.lab(rounds=12)
        for i, device in enumerate(devices):
            self.start(lab, i, device)
        return lab

    def test_auto_goes_on_with_the_cpu_when_the_device_fails(self):
        expected, _ = self.run_all(["cpu"] * CLIENTS)
        lab = self.lab()
        # Beyond the self-check's steps, in the middle of a round.
        broken = {**ODD, "FL_TEST_PLUGIN": "fails:70"}
        self.start(lab, 0, "auto", broken)
        self.start(lab, 1, "auto", {**ODD, "FL_TEST_PLUGIN": ""})
        self.start(lab, 2, "auto", {"FL_PLUGIN_DIR": "/nonexistent"})
        self.assertEqual(self.finish(lab), expected)
        self.assertRegex(self.log(lab, 0), r"device=emulator failed: the bus: broken for a test; going on from the state folder with device=cpu")
        self.assertIn("device=auto name=", self.log(lab, 1))
        self.assertIn("device=cpu: there is no plugin fl_cuda.so in /nonexistent", self.log(lab, 2))

    def test_auto_says_why_it_computes_on_the_cpu(self):
        for fault, says in (("none", "driver version is insufficient"), ("wrong", "something else than this CPU"),
                            ("abi", "install both from one build")):
            with self.subTest(fault=fault):
                lab = self.lab(rounds=1)
                for i in range(CLIENTS):
                    self.start(lab, i, "auto", {**ODD, "FL_TEST_PLUGIN": fault})
                self.finish(lab)
                self.assertRegex(self.log(lab, 0), rf"device=cpu: .*{says}")

    def test_a_device_by_name_that_cannot_be_had_is_an_error(self):
        lab = self.lab()
        cases = (
            ("cuda:0", {"FL_PLUGIN_DIR": "/nonexistent"}, {}, 3, "cuda:0 cannot be had: there is no plugin fl_cuda.so in /nonexistent"),
            ("cuda:0", {**ODD, "FL_TEST_PLUGIN": "none"}, {}, 3, "driver version is insufficient"),
            ("cuda:7", {**ODD, "FL_TEST_PLUGIN": ""}, {}, 3, "there is no device 7, there are 1"),
            ("emu", {}, {"device_memory": 1000}, 3, "bytes of device memory are wanted, 1000 may be taken"),
            ("gpu", {}, {}, 3, "device: gpu is none; auto, cpu, cuda:N"),
        )
        for device, environment, settings, code, says in cases:
            with self.subTest(device=device, says=says):
                config = lab.write_client("c0", 0, CLIENTS, "digits", device=device, **settings)
                done = subprocess.run([lab.client_program, "run", "--config", config], capture_output=True, text=True, timeout=60,
                                      env=dict(os.environ, **environment))
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertIn(says, done.stderr)

    def test_a_device_by_name_that_fails_ends_the_client_and_keeps_its_folder(self):
        expected, _ = self.run_all(["cpu"] * CLIENTS)
        lab = self.lab()
        broken = {**ODD, "FL_TEST_PLUGIN": "fails:70"}
        for i in range(CLIENTS):
            self.start(lab, i, "cuda:0" if i == 0 else "cpu", broken)
        self.assertEqual(lab.clients["c0"].wait(timeout=120), 1)
        self.assertIn("device: cuda:0 failed: the bus: broken for a test; the state folder is whole", self.log(lab, 0))
        self.start(lab, 0, "emu")
        self.assertEqual(self.finish(lab), expected)

    def test_doctor_says_what_computes_and_why_no_device_does(self):
        lab = self.lab()
        cases = (
            ("cpu", {}, {}, "ok", "the CPU, as the setting device says"),
            ("auto", {"FL_PLUGIN_DIR": "/nonexistent"}, {}, "ok", "the CPU: there is no plugin fl_cuda.so in /nonexistent"),
            ("auto", {**ODD, "LD_LIBRARY_PATH": ""}, {}, "ok", "the CPU: there is no driver: libcuda.so.1"),
            ("auto", {**ODD, "FL_TEST_PLUGIN": "none"}, {}, "note", "the CPU: .*driver version is insufficient"),
            ("auto", {**ODD, "FL_TEST_PLUGIN": "wrong"}, {}, "note", "the CPU: it computes something else than this CPU"),
            ("auto", ODD, {}, "ok", "emulator, capability .*it computes what this CPU does"),
            ("cuda:0", {**ODD, "FL_TEST_PLUGIN": "none"}, {}, "fail", "cannot be had: .*driver version is insufficient"),
            ("cuda:x", {}, {}, "fail", "device: cuda:x is none"),
            ("emu", {}, {"device_memory": 250000}, "ok", "emulator"),
        )
        for device, environment, settings, outcome, says in cases:
            if "no driver" in says and has_driver():
                continue
            with self.subTest(device=device, says=says):
                config = lab.write_client("c0", 0, CLIENTS, "digits", device=device, **settings)
                done = subprocess.run([lab.client_program, "doctor", "--config", config, "--json"], capture_output=True, text=True,
                                      timeout=60, env=dict(os.environ, **environment))
                self.assertEqual(done.returncode, outcome == "fail", done.stderr)
                findings = {f["name"]: f for f in json.loads(done.stdout)}
                self.assertEqual(findings["device"]["outcome"], outcome)
                self.assertRegex(findings["device"]["found"], says)
                self.assertEqual("fix" in findings["device"] and bool(findings["device"]["fix"]), outcome != "ok")
                self.assertEqual("device memory" in findings, "emulator" in says)
                if settings:
                    self.assertIn("streamed", findings["device memory"]["found"])


if __name__ == "__main__":
    unittest.main()
