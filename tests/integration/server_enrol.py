"""Enrolment, identities and revocation over real TLS (rules R20, R21, R23)."""
import subprocess
import time
import unittest

import msgpack

from deployment import Deployment, Identity, root_fingerprint, run


class Enrolment(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Deployment().start()
        cls.addClassCleanup(cls.server.close)

    def test_R21_init_tells_fingerprint_and_first_token(self):
        self.assertEqual(self.server.init["ca_fingerprint"], root_fingerprint(self.server.root))
        answer = self.server.request("GET", "/v1/authority")
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.body, self.server.root.read_bytes())
        self.assertEqual(self.server.enroll(Identity(self.server.folder), self.server.init["token"]).status, 200)

    def test_R21_certificate_is_for_clients_only_and_keeps_the_key(self):
        identity = self.server.enrolled()
        text = run("openssl", "x509", "-in", identity.chain, "-noout", "-text").stdout
        self.assertIn("TLS Web Client Authentication", text)
        self.assertNotIn("TLS Web Server Authentication", text)
        self.assertRegex(text, f"CN ?= ?{identity.client}")
        self.assertNotIn("anything", text)
        key = run("openssl", "pkey", "-in", identity.key, "-pubout").stdout
        self.assertEqual(run("openssl", "x509", "-in", identity.chain, "-noout", "-pubkey").stdout, key)

    def test_R20_same_token_and_key_get_the_same_certificate(self):
        identity = Identity(self.server.folder)
        token = self.server.command_json("token", "create")["token"]
        self.assertEqual(self.server.enroll(identity, token).status, 200)
        chain = identity.chain.read_bytes()
        self.assertEqual(self.server.enroll(identity, token).status, 200)
        self.assertEqual(identity.chain.read_bytes(), chain)

    def test_R20_the_secret_of_a_token_is_stored_nowhere(self):
        name, secret = self.server.command_json("token", "create")["token"].split(".")
        stored = b"".join(p.read_bytes() for p in self.server.dir.rglob("*") if p.is_file())
        self.assertIn(name.encode(), stored)
        self.assertNotIn(secret.encode(), stored)
        self.assertNotIn(bytes.fromhex(secret), stored)

    def test_R21_the_root_key_is_its_own_and_not_needed_to_serve(self):
        server = Deployment()
        self.addCleanup(server.close)
        authority = server.dir / "authority"
        keys = {run("openssl", "pkey", "-in", authority / f"{name}.key", "-pubout").stdout for name in ("root", "issuing", "server")}
        self.assertEqual(len(keys), 3)
        (authority / "root.key").rename(server.folder / "kept-elsewhere")
        server.start()
        self.assertEqual(server.request("GET", "/v1/runs", None, server.enrolled()).status, 200)

    def test_R20_used_token_is_refused(self):
        token = self.server.command_json("token", "create", "--uses", "1")["token"]
        self.assertEqual(self.server.enroll(Identity(self.server.folder), token).status, 200)
        answer = self.server.enroll(Identity(self.server.folder), token)
        self.assertEqual(answer.status, 403)
        self.assertEqual(answer.json()["error"], "FL_ERR_AUTH")

    def test_R20_expired_and_unknown_tokens_are_refused(self):
        token = self.server.command_json("token", "create", "--ttl", "1s")["token"]
        time.sleep(1.1)
        self.assertEqual(self.server.enroll(Identity(self.server.folder), token).status, 403)
        for bad in ("0123456789abcdef." + "0" * 64, "nonsense", token[:-1] + "x"):
            self.assertEqual(self.server.enroll(Identity(self.server.folder), bad).status, 403, bad)

    def test_malformed_enrolments(self):
        token = self.server.command_json("token", "create")["token"]
        identity = Identity(self.server.folder)
        forged = bytearray(identity.csr)
        forged[-1] ^= 1  # in the signature
        for body in (b"", b"\xc1", b"\x80", msgpack.packb({"v": 2}), msgpack.packb({"v": 1, "token": token}),
                     msgpack.packb({"v": 1, "token": token, "csr": b"no"}),
                     msgpack.packb({"v": 1, "token": token, "csr": bytes(forged)})):
            answer = self.server.request("POST", "/v1/enroll", body)
            self.assertEqual(answer.status, 400, body)
            self.assertIn("hint", answer.json())
        self.assertEqual(self.server.enroll(identity, token).status, 200)

    def test_curl_with_certificate_reads_runs_as_json(self):
        done = self.server.curl("/v1/runs", self.server.enrolled())
        body, status = done.stdout.rsplit("\n", 1)
        self.assertEqual(status, "200", done.stdout + done.stderr)
        self.assertIn('"runs":[', body)

    def test_without_certificate_401(self):
        done = self.server.curl("/v1/runs")
        body, status = done.stdout.rsplit("\n", 1)
        self.assertEqual(status, "401")
        self.assertIn('"error":"FL_ERR_AUTH"', body)
        for method, path in (("GET", "/v1/runs/x"), ("GET", "/v1/runs/x/work"), ("PUT", "/v1/runs/x/updates/1")):
            self.assertEqual(self.server.request(method, path, b"x" if method == "PUT" else None).status, 401)

    def test_foreign_certificate_is_refused_in_the_handshake(self):
        done = self.server.curl("/v1/runs", Identity(self.server.folder, self_signed=True))
        self.assertNotEqual(done.returncode, 0)
        self.assertTrue(done.stdout.endswith("000"), done.stdout)
        # Health needs no certificate, but a wrong one is refused all the same.
        self.assertNotEqual(self.server.curl("/v1/health", Identity(self.server.folder, self_signed=True)).returncode, 0)
        self.assertTrue(self.server.alive())

    def test_R21_server_certificate_is_no_client_certificate(self):
        stolen = Identity(self.server.folder)
        stolen.key, stolen.chain = (self.server.dir / "authority" / f"server.{end}" for end in ("key", "pem"))
        self.assertNotEqual(self.server.curl("/v1/runs", stolen).returncode, 0)

    def test_R23_key_that_nobody_registered_is_refused(self):
        body, status = self.server.curl("/v1/runs", self.server.forged(1)).stdout.rsplit("\n", 1)
        self.assertEqual(status, "403", body)

    def test_R22_an_expired_certificate_may_only_be_renewed(self):
        identity = self.server.forged(-1)
        for method, path in (("GET", "/v1/runs"), ("GET", "/v1/runs/x/work"), ("PUT", "/v1/runs/x/updates/1")):
            answer = self.server.request(method, path, None, identity)
            self.assertEqual((answer.status, answer.json()["error"]), (403, "FL_ERR_EXPIRED"), path)
        # This key was never registered; the registered ones are in renewal.py.
        answer = self.server.request("POST", "/v1/renew", None, identity)
        self.assertEqual((answer.status, answer.json()["error"]), (403, "FL_ERR_AUTH"))
        self.assertEqual(self.server.request("POST", "/v1/renew").status, 401)
        self.assertEqual(self.server.request("GET", "/v1/health", None, identity).status, 200)

    def test_R22_expired_and_foreign_is_still_foreign(self):
        # Signed by another authority, and by ours for servers only; both expired.
        stranger = Deployment()
        self.addCleanup(stranger.close)
        for identity in (stranger.forged(-1), self.server.forged(-1, "serverAuth")):
            self.assertNotEqual(self.server.curl("/v1/renew", identity, "-X", "POST").returncode, 0)

    def test_R23_revoked_client_is_refused_at_once_on_its_open_connection(self):
        identity = self.server.enrolled("doomed")
        connection = self.server.connect(identity)
        self.addCleanup(connection.close)
        connection.request("GET", "/v1/runs")
        response = connection.getresponse()
        response.read()
        self.assertEqual(response.status, 200)
        self.server.command("clients", "revoke", identity.client[:12])
        connection.request("GET", "/v1/runs")
        response = connection.getresponse()
        response.read()
        self.assertEqual(response.status, 403)
        listed = {c["id"]: c for c in self.server.command_json("clients", "list")["clients"]}
        self.assertTrue(listed[identity.client]["revoked"])
        self.assertEqual(listed[identity.client]["name"], "doomed")

    def test_TLS_1_1_is_refused(self):
        for version, refused in (("-tls1_1", True), ("-tls1_2", False), ("-tls1_3", False)):
            done = subprocess.run(["openssl", "s_client", version, "-cipher", "DEFAULT:@SECLEVEL=0", "-connect",
                                   f"127.0.0.1:{self.server.port}", "-CAfile", str(self.server.root)], input=b"", capture_output=True, timeout=60)
            self.assertEqual(done.returncode != 0 or b"Cipher is (NONE)" in done.stdout, refused, version)

    def test_server_certificate_names_the_host(self):
        done = run("curl", "-sS", "--cacert", self.server.root, "--resolve", f"other:{self.server.port}:127.0.0.1",
                   f"https://other:{self.server.port}/v1/health", expect=None)
        self.assertEqual(done.returncode, 60, done.stderr)


if __name__ == "__main__":
    unittest.main()
