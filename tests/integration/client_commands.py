"""fl-client's commands as a newcomer types them, right and wrong: what is said, and the exit code."""
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

CLIENT = os.environ["FL_CLIENT"]
DIGITS = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "data" / "digits.csv.gz"


def call(*words):
    done = subprocess.run([CLIENT, *map(str, words)], capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout, done.stderr


class Commands(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def test_every_command_has_help_with_an_example_and_exit_codes(self):
        for command in ("enroll", "run", "train", "evaluate"):
            code, out, _ = call(command, "--help")
            self.assertEqual(code, 0)
            for part in ("Usage: fl-client " + command, "Examples:", "Exit codes:"):
                self.assertIn(part, out)

    def test_training_alone_says_how_good_it_is(self):
        code, out, _ = call("train", "--data", DIGITS, "--data.scale", "0.0625", "--hidden", "32", "--steps", "400", "--json")
        self.assertEqual(code, 0)
        self.assertGreater(json.loads(out)["test_accuracy"], 0.9)

    def test_wrong_words(self):
        for words, expected in (((), "Usage"), (("trian",), "trian"), (("train", "--data", DIGITS, "--step", "3"), "--steps"),
                                (("train", "--data", DIGITS, "--steps", "-1"), "steps"), (("train",), "data")):
            code, out, err = call(*words)
            self.assertIn(code, (2, 3), words)
            self.assertIn(expected, out + err)

    def test_wrong_files_are_named_with_line_and_reason(self):
        missing = self.folder / "none.csv"
        cases = [
            (missing, 3, f"{missing}: No such file"),
            (self.write("columns.csv", "1,2,0\n1,2,1\n1,0\n"), 8, "columns.csv:3"),
            (self.write("word.csv", "1,2,0\n1,two,1\n"), 8, "word.csv:2"),
            (self.write("nan.csv", "1,2,0\n1,nan,1\n"), 8, "nan.csv:2"),
            (self.write("empty.csv", ""), 8, "empty.csv"),
        ]
        for path, expected, text in cases:
            code, _, err = call("train", "--data", path, "--steps", "1")
            self.assertEqual(code, expected, err)
            self.assertIn(text, err)

    def test_a_wrong_configuration_names_file_line_and_what_is_allowed(self):
        base = f"server: {{url: 'https://localhost:1'}}\nrun: r\nstate: {self.folder}/s\ndata:\n  path: {DIGITS}\n"
        for extra, line, text in (("  alhpa: 1\n", 6, "data.alpha"), ("  test_fraction: 2\n", 6, "0..0.99"), ("poll_ms: soon\n", 6, "poll_ms")):
            path = self.write("client.yaml", base + extra)
            code, _, err = call("run", "--config", path)
            self.assertEqual(code, 3, err)
            self.assertIn(f"client.yaml:{line}", err)
            self.assertIn(text, err)

    def test_the_token_comes_from_one_place(self):
        words = ("enroll", "--server", "https://localhost:1", "--ca-fingerprint", "0" * 64, "--state", self.folder / "s")
        missing, empty, long = self.folder / "none", self.write("empty", "\n"), self.write("long", "x" * 5000)
        for given, text in (((), "--token-file"), (("--token", "a.b", "--token-file", empty), "one of"), (("--token-file", missing), "none: No such"),
                            (("--token-file", empty), "empty: one line"), (("--token-file", long), "long")):
            code, _, err = call(*words, *given)
            self.assertNotEqual(code, 0)
            self.assertIn(text, err)
            self.assertFalse((self.folder / "s").exists())

    def test_a_state_folder_without_enrolment_is_refused_with_what_to_do(self):
        code, _, err = call("run", "--server", "https://localhost:1", "--run", "r", "--state", self.folder, "--data", DIGITS)
        self.assertNotEqual(code, 0)
        self.assertIn("enroll", err)

    def test_a_damaged_model_file_is_refused(self):
        path = self.write("model.safetensors", "no model")
        code, _, err = call("evaluate", "--model", path, "--data", DIGITS)
        self.assertNotEqual(code, 0)
        self.assertIn("model.safetensors", err)


if __name__ == "__main__":
    unittest.main()
