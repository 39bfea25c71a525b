"""Certificates that end, and clocks that are wrong, with real processes (rule R22)."""
import os
import pathlib
import subprocess
import ssl
import time
import unittest

from deployment import Deployment, run, shifted, wait_until

CLIENT = os.environ["FL_CLIENT"]
DIGITS = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "data" / "digits.csv.gz"
DAY = 86400
SPEC = """name: {name}
rounds: 1
model: {{kind: softmax, inputs: 64, outputs: 10}}
codec: {{name: int-threshold}}
round: {{target: 1, gather_ms: 10}}
"""


def client(*words, shift=None, expect=0):
    environment = dict(os.environ, **(shifted(shift) if shift else {}))
    done = subprocess.run([CLIENT, *map(str, words)], capture_output=True, text=True, timeout=300, env=environment)
    if expect is not None and done.returncode != expect:
        raise AssertionError(f"{words}: exit {done.returncode}, expected {expect}\n{done.stdout}{done.stderr}")
    return done


def end_of(path):
    text = run("openssl", "x509", "-in", path, "-noout", "-enddate").stdout.strip().split("=", 1)[1]
    return ssl.cert_time_to_seconds(text)


class Renewal(unittest.TestCase):
    def deployment(self, **environment):
        server = Deployment()
        server.environment = environment
        self.addCleanup(server.close)
        return server

    def enroll(self, server, name, **options):
        state = server.folder / name
        token = server.command_json("token", "create")["token"]
        done = client("enroll", "--server", f"https://127.0.0.1:{server.port}", "--token", token, "--ca-fingerprint",
                      server.init["ca_fingerprint"], "--state", state, **options)
        return done if options.get("expect") else state

    def take_part(self, server, state, run_name, **options):
        """fl-client in a run of one round, to its end."""
        spec = server.folder / f"{run_name}.yaml"
        spec.write_text(SPEC.format(name=run_name))
        server.command("run", "create", spec)
        return client("run", "--server", f"https://127.0.0.1:{server.port}", "--run", run_name, "--state", state, "--data", DIGITS,
                      "--data.scale", "0.0625", **options)

    def test_R22_a_certificate_is_renewed_before_its_end(self):
        server = self.deployment().start()
        state = self.enroll(server, "c")
        first = (state / "client.pem").read_bytes()
        self.take_part(server, state, "early")
        self.assertEqual((state / "client.pem").read_bytes(), first)  # nothing is due yet
        done = self.take_part(server, state, "due", shift=300 * DAY)  # of 365
        renewed = (state / "client.pem").read_bytes()
        self.assertNotEqual(renewed, first)
        self.assertEqual(done.stderr.count("the certificate is renewed"), 1, done.stderr)
        subject, key = (run("openssl", "x509", "-in", state / "client.pem", "-noout", what).stdout for what in ("-subject", "-pubkey"))
        (state / "old.pem").write_bytes(first)
        self.assertEqual(subject, run("openssl", "x509", "-in", state / "old.pem", "-noout", "-subject").stdout)
        self.assertEqual(key, run("openssl", "x509", "-in", state / "old.pem", "-noout", "-pubkey").stdout)

    def test_R22_an_expired_key_may_renew_and_nothing_else_and_a_revoked_one_not_even_that(self):
        server = self.deployment().start("--certificates.client_life", "1s")
        states = [self.enroll(server, name) for name in ("good", "revoked")]
        identity = server.enrolled()
        ends = max(end_of(path) for path in (identity.chain, *(s / "client.pem" for s in states)))
        self.assertTrue(wait_until(lambda: time.time() > ends + 1))
        server.stop()
        server.start()
        for method, path in (("GET", "/v1/runs"), ("GET", "/v1/runs/x"), ("GET", "/v1/runs/x/work"), ("GET", "/v1/runs/x/model"),
                             ("PUT", "/v1/runs/x/updates/1")):
            answer = server.request(method, path, None, identity)
            self.assertEqual((answer.status, answer.json()["error"]), (403, "FL_ERR_EXPIRED"), path)
        for _ in range(2):  # a lost answer: ask again
            answer = server.request("POST", "/v1/renew", None, identity)
            self.assertEqual((answer.status, answer.msgpack()["client"]), (200, identity.client))
        identity.chain.write_bytes(answer.msgpack()["chain"])
        self.assertEqual(server.request("GET", "/v1/runs", None, identity).status, 200)

        done = self.take_part(server, states[0], "a")
        self.assertLess(done.stderr.index("the certificate is renewed"), done.stderr.index("run=a status=FL_OK"))
        self.assertGreater(end_of(states[0] / "client.pem"), time.time() + 300 * DAY)

        name = run("openssl", "x509", "-in", states[1] / "client.pem", "-noout", "-subject").stdout.strip().split()[-1].split("=")[-1]
        server.command("clients", "revoke", name)
        before = (states[1] / "client.pem").read_bytes()
        done = self.take_part(server, states[1], "b", expect=5)
        for part in ("does not renew", "revoked", "enrol again"):
            self.assertIn(part, done.stderr)
        self.assertEqual((states[1] / "client.pem").read_bytes(), before)

    def test_R22_a_device_whose_clock_says_1970(self):
        server = self.deployment().start()
        state = self.enroll(server, "c", shift=-time.time() + 60)
        self.take_part(server, state, "old", shift=-time.time() + 60)
        seen = int((state / "time").read_text().split()[0])
        self.assertLess(abs(seen - time.time()), 2 * DAY)
        # The time last seen counts, too: by it the certificate is due for renewal.
        (state / "time").write_text(f"{int(time.time()) + 300 * DAY}\n")
        self.assertIn("is renewed", self.take_part(server, state, "seen", shift=-time.time() + 60).stderr)
        (state / "time").write_text("no time at all")
        self.take_part(server, state, "damaged", shift=-time.time() + 60)

    def test_R22_a_clock_far_ahead_is_named_with_what_to_do(self):
        server = self.deployment().start()
        done = self.enroll(server, "c", shift=50 * 365 * DAY, expect=1)
        for part in ("has expired, if it is 20", "by the system's clock", "timedatectl", "fl-server doctor"):
            self.assertIn(part, done.stderr)
        self.assertFalse((server.folder / "c" / "client.pem").exists())
        self.enroll(server, "c")  # the clock is right again

    def test_R22_the_server_renews_its_own_certificate_and_clients_behind_its_time_follow(self):
        server = self.deployment(**shifted(700 * DAY))
        authority = server.dir / "authority"
        first, key = (authority / "server.pem").read_bytes(), (authority / "server.key").read_bytes()
        server.start("--certificates.server_life", "9s")  # at the start, of 825 days; then again while it runs
        self.assertNotEqual((authority / "server.pem").read_bytes(), first)
        self.assertEqual((authority / "server.key").read_bytes(), key)
        names = run("openssl", "x509", "-in", authority / "server.pem", "-noout", "-ext", "subjectAltName").stdout
        self.assertIn("127.0.0.1", names)
        serials = set()

        def shown():
            pem = run("openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", stdin="", expect=None).stdout
            serials.add(run("openssl", "x509", "-noout", "-serial", stdin=pem, expect=None).stdout)
            return len(serials) > 1
        self.assertTrue(wait_until(shown, 120))
        self.assertEqual((authority / "server.key").read_bytes(), key)
        server.stop()
        server.start()
        state = self.enroll(server, "c")  # to this client all certificates begin two years from now
        self.take_part(server, state, "a")
        self.assertGreater(int((state / "time").read_text().split()[0]), time.time() + 690 * DAY)

    def test_settings_of_lives_are_checked(self):
        server = self.deployment()
        for value, text in (("soon", "certificates.client_life"), ("999999d", "certificates.client_life"), ("0s", "certificates.client_life")):
            done = run(os.environ["FL_SERVER"], "serve", "--config", server.dir / "server.yaml", "--certificates.client_life", value, expect=3)
            self.assertIn(text, done.stderr)


if __name__ == "__main__":
    unittest.main()
