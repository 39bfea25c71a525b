"""`fl-server doctor`: everything that it looks at is broken for real, and it must say what and how to mend it, and change nothing."""
import os
import resource
import shutil
import socket
import sqlite3
import subprocess
import unittest

from deployment import PROGRAM, Deployment, Identity, create_run, run, shifted, wait_until
from doctor_case import DoctorCase, snapshot

CLIENT = os.environ["FL_CLIENT"]
DAY = 86400
NOBODY = 65534
SPEC = """name: {name}
rounds: {rounds}
model: {{kind: mlp, inputs: 64, outputs: 10, hidden: [512]}}
codec: {{name: dense}}
round: {{target: 1, gather_ms: 10}}
keep_updates: true
"""


class Doctor(DoctorCase):
    def setUp(self):
        self.server = Deployment()
        self.addCleanup(self.server.close)
        self.dir = self.server.dir

    def look(self, expect=None, environment=None, config=None, folders=None, **options):
        words = [PROGRAM, "doctor", "--config", config or self.dir / "server.yaml"]
        running = self.server.process is not None
        self.diagnose(words, folders if folders is not None else [] if running else [self.dir], expect, environment, **options)

    def settings(self, text):
        """A configuration that says so besides."""
        path = self.server.folder / "other.yaml"
        path.write_text(f"state: {self.dir}\n{text}\n")
        return path

    def all_ok(self, *names):
        told = self.settings(f"listen: {{address: 127.0.0.1, port: 0, port_file: {self.server.folder}/port}}")
        self.look(expect=0, config=told if self.server.process else None)
        self.assertEqual({f["outcome"] for f in self.findings}, {"ok"}, self.findings)
        for name in names:
            self.assertIn(name, {f["name"] for f in self.findings})

    def with_a_run(self):
        """A run with blobs: two versions and two updates."""
        self.server.start()
        spec = self.server.folder / "run.yaml"
        spec.write_text(SPEC.format(name="large", rounds=2))
        self.server.command("run", "create", spec)
        state = self.server.folder / "c"
        url = f"https://127.0.0.1:{self.server.port}"
        run(CLIENT, "enroll", "--server", url, "--token", self.server.init["token"], "--ca-fingerprint",
            self.server.init["ca_fingerprint"], "--state", state)
        digits = os.path.join(os.path.dirname(__file__), "..", "..", "deploy", "data", "digits.csv.gz")
        run(CLIENT, "run", "--server", url, "--run", "large", "--state", state, "--data", digits, "--data.scale", "0.0625")

    # ---- all is well ----

    def test_healthy_before_while_and_after_a_server_runs(self):
        common = ("configuration", "versions", "open files", "state folder", "process", "clock", "secrets", "authority", "root", "issuing authority", "certificate",
                  "certificate names", "database", "revocations", "disk", "port")
        self.all_ok(*common)
        self.with_a_run()
        self.all_ok(*common, "blobs", "backup", "operator")
        self.expect("process", "ok", ["an fl-server runs"])
        self.assertTrue(self.server.alive())
        self.server.stop()
        self.all_ok(*common, "blobs", "backup")
        self.server.start()
        create_run(self.server, "another")
        self.server.kill()
        self.assertTrue((self.dir / "state.db-wal").stat().st_size)
        self.all_ok(*common, "blobs", "backup")  # by the log that the killed server has left, which stays
        text = run(PROGRAM, "doctor", "--dir", self.dir).stdout
        self.assertEqual(len(text.splitlines()), len(self.findings))
        self.server.start()

    def test_a_busy_server_has_only_ok_lines(self):
        self.server.start()
        spec = self.server.folder / "busy.yaml"
        spec.write_text(SPEC.format(name="busy", rounds=200).replace("keep_updates: true", ""))
        self.server.command("run", "create", spec)
        state, url = self.server.folder / "c", f"https://127.0.0.1:{self.server.port}"
        run(CLIENT, "enroll", "--server", url, "--token", self.server.init["token"], "--ca-fingerprint",
            self.server.init["ca_fingerprint"], "--state", state)
        digits = os.path.join(os.path.dirname(__file__), "..", "..", "deploy", "data", "digits.csv.gz")
        client = subprocess.Popen([CLIENT, "run", "--server", url, "--run", "busy", "--state", str(state), "--data", digits],
                                  stderr=subprocess.DEVNULL)
        try:
            version = lambda: self.server.command_json("run", "status", "busy")["runs"][0]["version"]
            for number in range(1, 11):
                self.assertTrue(wait_until(lambda: version() >= number))
                self.all_ok("blobs")
        finally:
            client.kill()
            client.wait()

    # ---- configuration, folders, files ----

    def test_configuration(self):
        self.look(expect=1, config=self.server.folder / "gone.yaml")
        self.expect("configuration", "fail", ["gone.yaml"], ["--config FILE", "fl-server init"])
        for text, found in (("listen: {prot: 1}", "listen.prot"), ("listen: {strangers: 600, connections: 600}", "listen.strangers"),
                            ("certificates: {client_life: soon}", "certificates.client_life")):
            self.look(expect=1, config=self.settings(text))
            self.expect("configuration", "fail", [found, "other.yaml"], ["fl-server serve --help"])
        self.look(expect=0, config=self.settings("store: {durability: off}\nlisten: {port: 0}"))
        self.expect("configuration", "warn", ["durability is off"], ["remove store.durability"])
        run(PROGRAM, "doctor", "--nonsense", expect=2)
        self.assertIn("fl-server doctor --config", run(PROGRAM, "doctor", "--help").stdout)

    def test_open_files(self):
        self.look(expect=0, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024)))
        self.expect("open files", "warn", ["1024", "4224"], ["LimitNOFILE=4224"])

    def test_modes_and_missing_files(self):
        self.dir.chmod(0o711)
        self.look(expect=0)
        self.expect("state folder", "warn", ["0711"], [f"chmod 700 {self.dir}"])
        self.dir.chmod(0o700)
        for name in ("authority/server.key", "authority/issuing.key", "authority/root.key", "receipt.key", "admin.token", "state.db"):
            path = self.dir / name
            mode = path.stat().st_mode & 0o777
            path.chmod(0o640)
            self.look(expect=1)
            self.expect("secrets", "fail", [name, "0640"], [f"chmod 600 {path}"])
            path.chmod(mode)
        (self.dir / "authority" / "root.pem").chmod(0o666)
        self.look(expect=1)
        self.expect("files", "fail", ["root.pem", "0666"], ["chmod 644"])
        (self.dir / "authority" / "root.pem").chmod(0o644)
        for name in ("authority/server.pem", "authority/issuing.key", "receipt.key"):
            aside = self.server.folder / "aside"
            (self.dir / name).rename(aside)
            self.look(expect=1)
            self.expect("secrets" if name.endswith("key") else "files", "fail", [name, "No such file"], ["from a backup"])
            aside.rename(self.dir / name)
        (self.dir / "authority" / "root.key").unlink()  # kept elsewhere, as it should be
        self.all_ok()
        shutil.move(self.dir, self.server.folder / "moved")
        config = self.server.folder / "moved" / "server.yaml"
        self.look(expect=1, config=self.settings(""), folders=[])
        self.expect("state folder", "fail", ["No such file"], [f"fl-server init {self.dir}"])
        self.look(expect=0, config=config, folders=[])
        shutil.move(self.server.folder / "moved", self.dir)

    @unittest.skipUnless(os.geteuid() == 0, "needs root, to be somebody else")
    def test_another_user(self):
        os.chown(self.dir, NOBODY, NOBODY)
        self.look(expect=0)
        self.expect("state folder", "warn", ["belongs to nobody", "root"], ["sudo -u nobody"])
        self.server.folder.chmod(0o755)
        self.look(expect=1, user=NOBODY)
        self.expect("secrets", "fail", ["receipt.key", "Permission denied", "of root"], ["chown"])
        self.expect("database", "fail", ["state.db"], ["as the folder's owner"])

    def test_small_full_and_read_only_disks(self):
        point = self.server.folder / "disk"
        self.mounted(point, "size=2m")
        folder = point / "s"
        shutil.copytree(self.dir, folder)
        config = folder / "server.yaml"
        self.look(expect=1, config=config)
        self.expect("disk", "fail", ["needs 64.0 MiB"], ["make room", str(folder)])
        self.fill(point / "ballast")
        self.look(expect=1, config=config)
        self.expect("state folder", "fail", ["cannot be written to"], [f"df -h {folder}"])
        (point / "ballast").unlink()
        run("mount", "-o", "remount,ro", point)
        self.look(expect=1, config=config)
        self.expect("state folder", "fail", ["ead-only"], ["remount,rw"])

    # ---- authority and time ----

    def test_files_that_do_not_belong_together(self):
        other = Deployment()
        self.addCleanup(other.close)
        stranger = Identity(self.server.folder, self_signed=True)
        authority = self.dir / "authority"
        cases = [("server.key", (other.dir / "authority" / "server.key").read_bytes()), ("root.pem", stranger.chain.read_bytes()),
                 ("root.pem", (other.dir / "authority" / "root.pem").read_bytes()), ("issuing.key", b"junk"),
                 ("server.pem", (other.dir / "authority" / "server.pem").read_bytes()), ("../receipt.key", b"short")]
        for name, content in cases:
            with self.subTest(name=name):
                before = (authority / name).read_bytes()
                (authority / name).write_bytes(content)
                self.look(expect=1)
                self.expect("authority", "fail", (), ["belong together", "from one backup"])
                (authority / name).write_bytes(before)
        self.all_ok()

    def test_certificates_and_clocks(self):
        self.look(expect=0, environment=shifted(700 * DAY))
        self.expect("certificate", "warn", ["the server's ends", "days"], ["systemctl restart fl-server"])
        self.look(expect=0, environment=shifted(900 * DAY))
        self.expect("certificate", "warn", ["has expired"], ["systemctl restart fl-server"])
        self.look(expect=1, environment=shifted(15 * 365 * DAY))
        self.expect("issuing authority", "fail", ["has expired"], ["fl-server init"])
        self.look(expect=0, environment=shifted(-400 * DAY))
        self.expect("clock", "warn", ["but files here were written at"], ["timedatectl set-ntp true"])
        self.expect("certificate", "warn", ["later than the time here"], ["timedatectl"])
        self.server.start("--certificates.server_life", "1s")
        self.look(expect=1, environment=shifted(900 * DAY))
        self.expect("certificate", "fail", ["has expired"], ["server.authority"])

    def test_names(self):
        self.look(expect=0, config=self.settings("listen: {address: 127.0.0.2, port: 0}"))
        self.expect("certificate names", "warn", ["as 127.0.0.1, but it listens on 127.0.0.2"], ["server.url", "0.0.0.0"])

    # ---- listeners ----

    def test_ports(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            config = self.settings(f"listen: {{address: 127.0.0.1, port: {port}}}")
            self.look(expect=1, config=config)
            self.expect("port", "fail", [str(port), "in use"], [f"ss -ltnp 'sport = :{port}'", "listen.port"])
            self.server.start()  # on another port than this configuration says
            self.look(expect=1, config=config)
            self.expect("port", "fail", ["no fl-server of this authority"], [f"sport = :{port}"])
            self.server.stop()
        self.look(expect=1, config=self.settings("listen: {address: 192.0.2.7, port: 0}"))
        self.expect("port", "fail", ["192.0.2.7"], ["ip addr"])
        self.look(expect=1, config=self.settings("listen: {address: everywhere, port: 0}"))
        self.expect("port", "fail", ["everywhere"], ["listen.address"])
        other = Deployment()
        self.addCleanup(other.close)
        other.start()
        self.server.start()
        self.look(expect=1, config=self.settings(f"listen: {{address: 127.0.0.1, port: {other.port}}}"))
        self.expect("port", "fail", ["no fl-server of this authority"], ["ss -ltnp"])

    def test_the_operators_socket(self):
        self.server.start()
        token = (self.dir / "admin.token").read_text()
        (self.dir / "admin.token").write_text("0" * 64 + "\n")
        self.look(expect=1)
        self.expect("operator", "fail", (), ["admin.token was replaced", "systemctl restart fl-server"])
        (self.dir / "admin.token").write_text(token)
        (self.dir / "admin.sock").rename(self.dir / "aside")
        self.look(expect=1)
        self.expect("operator", "fail", ["no server answers"], ["systemctl restart fl-server"])
        (self.dir / "aside").rename(self.dir / "admin.sock")
        self.all_ok("operator")

    # ---- database and blobs ----

    def broken(self, change, folders=None):
        """What the doctor says of the folder after change(path of a copy of state.db); the folder is as before afterwards."""
        aside = self.server.folder / "state.db.aside"
        shutil.copy2(self.dir / "state.db", aside)
        change(self.dir / "state.db")
        self.look()
        shutil.copy2(aside, self.dir / "state.db")

    def test_a_damaged_database(self):
        self.with_a_run()
        self.server.stop()

        def junk(path, at, size):
            with open(path, "r+b") as file:
                file.seek(at)
                file.write(b"\xa5" * size)
        pages = (self.dir / "state.db").stat().st_size // 4096
        self.assertGreater(pages, 10)
        for name, change in (("page", lambda p: junk(p, 4096, 4096)), ("head", lambda p: junk(p, 0, 64)),
                             ("cut", lambda p: os.truncate(p, 4096 * (pages // 2))), ("text", lambda p: p.write_text("not a database " * 999))):
            with self.subTest(name):
                self.broken(change)
                self.expect("database", "fail", ["state.db is damaged"], ["fl-server restore", "Backups", "smartctl"])

        def version(path, number):
            with sqlite3.connect(path) as connection:
                connection.execute("PRAGMA journal_mode=DELETE")
                connection.execute(f"PRAGMA user_version={number}")
            connection.close()
        self.broken(lambda p: version(p, 99))
        self.expect("database", "fail", ["newer fl-server (schema 99"], ["install that release"])
        self.broken(lambda p: version(p, 1))
        self.expect("database", "note", ["older release"], ["copy the folder"])
        (self.dir / "state.db-wal").write_bytes(b"x" * 5000)
        self.look(expect=0)
        self.expect("database", "note", ["without", "state.db-shm"], ["rm ", "fl-server restore"])

    def test_missing_cut_and_unnamed_blobs(self):
        self.with_a_run()
        self.server.stop()
        blobs = sorted((self.dir / "blobs").iterdir())
        self.assertEqual({b.suffix for b in blobs}, {".state", ".update"})
        for suffix in (".state", ".update"):
            blob = next(b for b in blobs if b.suffix == suffix)
            content = blob.read_bytes()
            blob.write_bytes(content[:-2000])
            self.look(expect=1)
            self.expect("blobs", "fail", [f"{blob.name} has another size", f"1 of {len(blobs)}"], ["from a backup", "fl-server restore"])
            blob.unlink()
            self.look(expect=1)
            self.expect("blobs", "fail", [f"{blob.name} is not there"])
            blob.write_bytes(content)
        (self.dir / "blobs" / "old.1.v9.state").write_bytes(bytes(3000))
        self.look(expect=0)
        self.expect("blobs", "note", ["1 files (2.9 KiB)"], ["nothing"])

    # ---- backups and revocations ----

    def test_R13_a_restored_backup_is_seen(self):
        self.with_a_run()
        self.server.stop()
        shutil.copy2(self.dir / "state.db", self.server.folder / "backup.db")
        self.server.start()
        create_run(self.server, "later")
        self.server.stop()
        shutil.copy2(self.dir / "state.db", self.server.folder / "newest.db")
        shutil.copy2(self.server.folder / "backup.db", self.dir / "state.db")
        self.look(expect=0)
        self.expect("backup", "warn", ["came from a backup"], [f"fl-server restore --dir {self.dir}"])
        shutil.copy2(self.server.folder / "newest.db", self.dir / "state.db")
        (self.dir / "state.mark").unlink()
        self.look(expect=0)
        self.expect("backup", "note", ["state.mark is not there"], ["nothing"])

    def test_R23_damage_to_the_list_of_revocations(self):
        self.server.start()
        identity = self.server.enrolled()
        self.server.command("clients", "revoke", identity.client)
        self.server.stop()
        self.all_ok()
        self.expect("revocations", "ok", ["1 in "])
        log, mark = self.dir / "revocations.log", self.dir / "state.mark"
        content = log.read_bytes()
        for damaged, found in ((content[:-3], "line 2"), (content.replace(b"revoked", b"revokex"), "line 2"), (content.splitlines(True)[0], "0 lines")):
            log.write_bytes(damaged)
            self.look(expect=1)
            self.expect("revocations", "fail", [found, "put the file back"], ["fl-server clients list"])
        log.write_bytes(content)
        mark.write_text("nothing")
        self.look(expect=1)
        self.expect("revocations", "fail", ["state.mark"], ["as it says"])
        mark.unlink()
        log.unlink()
        self.look(expect=0)
        self.assertFalse(log.exists())
        guard = self.server.folder / "guard"
        self.look(expect=1, config=self.settings(f"guard: {guard}\nlisten: {{port: 0}}"))
        self.expect("guard folder", "fail", ["No such file"], [f"mkdir -m 700 {guard}"])


if __name__ == "__main__":
    unittest.main()
