"""Damage to every kind of state file on both sides: stopped, damaged, started. A condition for each kind, its damages in turn."""
import atexit
import os
import pathlib
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

from condition import CONDITIONS, Condition, Failed, must
from field_site import NOBODY, RUN, SECONDS, Site
from lab import TOP, wait_until
from relay import Relay

PATIENCE = 30  # seconds in which a case must have ended or gone on
ADVICE = re.compile(r"put |restore|remove|enrol|make room|must be|backup|see |run `|expected|allowed")
HISTORY = r"client-0/runs/field/history/\d+\."

# What a file may mean for those that use it.
VITAL = "goes on with nothing lost, or ends with the file's name and what to do"
OUTBOX = "goes on from the residual before, one update counted as lost (R7); or ends with the file's name and what to do where it cannot be read at all"
RESTORED = "goes on; what the server lost begins a new epoch and is counted for each client (R13); or it ends with the file's name and what to do"
SPARE = "goes on with nothing lost, or ends with the file's name and what to do (nothing reads it in between)"
WAITS = "the round waits, the log names the update and its file and what to do; it goes on by itself once the file is put back"
CONFIG = "ends with its name, or means something else and lives"
AFRESH = "goes on with nothing lost: the codec starts afresh; or ends with the file's name and what to do where it cannot be read at all"

KINDS = [  # name, path as a regular expression, what it means
    ("server_config", r"server/server\.yaml", CONFIG),
    ("server_admin_token", r"server/admin\.token", VITAL),
    ("server_receipt_key", r"server/receipt\.key", VITAL),
    ("server_revocations", r"server/revocations\.log", VITAL),
    ("server_mark", r"server/state\.mark", VITAL),
    ("server_database", r"server/state\.db", VITAL),
    ("server_database_payload", r"server/state\.db", WAITS),
    ("server_database_log", r"server/state\.db-wal", RESTORED),
    ("server_database_index", r"server/state\.db-shm", SPARE),
    ("server_root_certificate", r"server/authority/root\.pem", VITAL),
    ("server_root_key", r"server/authority/root\.key", SPARE),
    ("server_issuing_certificate", r"server/authority/issuing\.pem", VITAL),
    ("server_issuing_key", r"server/authority/issuing\.key", VITAL),
    ("server_certificate", r"server/authority/server\.pem", VITAL),
    ("server_key", r"server/authority/server\.key", VITAL),
    ("server_first_state", r"server/blobs/.*\.v0\.state", SPARE),
    ("server_state", r"server/blobs/.*\.v[1-9]\d*\.\d+\.state", VITAL),
    ("server_payload", r"server/blobs/.*\.update", WAITS),
    ("server_port", r"server/server\.port", SPARE),
    ("server_lock", r"server/lock", SPARE),
    ("client_config", r"client-0\.yaml", CONFIG),
    ("client_root_certificate", r"client-0/root\.pem", VITAL),
    ("client_certificate", r"client-0/client\.pem", VITAL),
    ("client_key", r"client-0/key\.pem", VITAL),
    ("client_time", r"client-0/time", SPARE),
    ("client_lock", r"client-0/lock", SPARE),
    ("client_manifest", r"client-0/runs/field/manifest", VITAL),
    ("client_residual", r"client-0/runs/field/residual\.(?P<before>\d+)", VITAL),
    ("client_outbox", r"client-0/runs/field/update\.\d+", OUTBOX),
    ("client_pending", r"client-0/runs/field/residual\.(?P<pending>\d+)", OUTBOX),
    ("client_replica", r"client-0/runs/field/replica\.\d+", VITAL),
    ("client_delta", r"client-0/runs/field/delta\.\d+", VITAL),
    ("client_codec_state", r"client-0/runs/field/codec-state\.(?P<before>\d+)", AFRESH),
    ("client_pending_codec_state", r"client-0/runs/field/codec-state\.(?P<pending>\d+)", AFRESH),
    ("client_history_sum", HISTORY + "p", SPARE),
    ("client_history_before", HISTORY + "e_old", SPARE),
    ("client_history_after", HISTORY + "e_new", SPARE),
    ("client_history_verdict", HISTORY + "verdict", SPARE),
]

LARGE = {"model": "{kind: mlp, inputs: 64, outputs: 10, hidden: [640]}", "codec": "{name: int-threshold, lambda: 2.384185791015625e-07}"}
KEEPS_STATE = {"codec": "{name: power-sgd}"}  # the audit knows grids only


def logged_version(site):
    """The newest version by the server's log: cheap to ask, and needs no server that answers."""
    found = re.findall(r"version=(\d+); closed", site.log("server"))
    return int(found[-1]) if found else 0


class Template:
    """A deployment that was killed in the middle of a round: client-0's update is in its outbox and has not reached the server,
    client-1's is accepted and waits for the round's end. Made once, copied for each case."""

    made = {}

    def __init__(self, binaries, spec):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="fl-field-template."))
        site = Site(self.folder, binaries)
        site.open_programs()  # the cases may run as another user
        try:
            site.deploy(start=False, **spec)
            site.enroll("gone", site.admin("token", "create")["token"])
            site.admin("clients", "revoke", next(c["id"] for c in site.admin("clients", "list")["clients"] if c["name"] == "gone"))
            site.server.terminate()  # what is there now is in the database itself; all that follows only in its log
            site.server.wait(timeout=SECONDS)
            site.start_server()
            site.server_ready()
            relay = Relay(site.port)
            site.closing(relay.close)
            site.point_to("client-0", relay.url)
            site.start_clients()
            site.wait_version(3)
            folder = self.folder / "client-0" / "runs" / RUN
            relay.cut_next("hold", lambda: site.has_outbox("client-0") and (spec or any(folder.glob("delta.*"))))
            wait_until(lambda: relay.cuts and site.receipts() % 2 == 1 and not site.has_outbox("client-1"), SECONDS, "a round half done")
            site.stop_all()
            site.point_to("client-0", f"https://127.0.0.1:{site.port}")
        finally:
            site.stop_all()
            for function in site.closers:
                function()
        self.has_grid = spec is not KEEPS_STATE
        self.programs, self.digits = site.server_program.parent, site.digits
        self.port, self.names, self.version = site.port, site.names, logged_version(site)
        shutil.rmtree(self.folder / "gone")
        self.check_kinds()

    def check_kinds(self):
        """What is there is what we know: a new kind of file has to be damaged too."""
        for path in self.folder.rglob("*"):
            name = str(path.relative_to(self.folder)).replace("client-1", "client-0")
            known = name.startswith("bin/") or path.suffix == ".log" and path.parent == self.folder or name == "run.yaml" or any(re.fullmatch(kind[1], name) for kind in KINDS)
            must(known or not path.is_file(), f"{name} is a file of no kind that tests/field/files.py knows")

    @classmethod
    def of(cls, binaries, spec):
        key = str(spec)
        if key not in cls.made:
            cls.made[key] = cls(binaries, spec)
            atexit.register(shutil.rmtree, cls.made[key].folder)
        return cls.made[key]


# ---- damage ----

def flip(data, at, bit):
    data = bytearray(data)
    data[at] ^= 1 << bit
    return bytes(data)


def changed(how, data, draw):
    """The content of a file after this damage; None where it has no such damage."""
    size, middle = len(data), slice(16, -16)
    if how == "empty":
        return b"" if size else None
    if how == "cut in the middle":
        return data[:size // 2] if size > 1 else None
    if how == "cut by a byte":
        return data[:-1] if size > 1 else None
    if how == "garbage behind it":
        return data + draw.randbytes(64)
    if how == PAGE_HEAD:
        return flip(data, draw.randrange(0, size, PAGE) + draw.randrange(8), draw.randrange(8))
    places = {"bit flipped in its head": range(min(16, size)), "bit flipped in its body": range(size)[middle],
              "bit flipped in its end": range(size)[-16:]}[how]
    return flip(data, draw.choice(places), draw.randrange(8)) if places else None


PAGE = 4096  # bytes, of SQLite
CONTENT = ["empty", "cut in the middle", "cut by a byte", "garbage behind it", "bit flipped in its head", "bit flipped in its body", "bit flipped in its end"]
DAMAGES = ["missing", "a folder instead", "closed to the user", *CONTENT]
PAGE_HEAD, PAYLOAD = "bit flipped in a page's head", "bit flipped in the payload of an update that waits"
SOME = {  # where a case takes long; and a bit in a row of the database is only seen where the row has a sum
    "server_payload": ["missing", "closed to the user", "cut by a byte", "bit flipped in its body"],
    "server_database": [*DAMAGES[:-2], PAGE_HEAD],
    "server_database_payload": [PAYLOAD],
}


def damage(path, how, draw):
    """Whether the file could be damaged in this way."""
    if how == "missing":
        path.unlink()
    elif how == "a folder instead":
        path.unlink()
        path.mkdir()
        os.chown(path, *owner())
    elif how == "closed to the user":
        path.chmod(0)
    elif how == PAYLOAD:
        damage_row(path, draw)
    else:
        data = changed(how, path.read_bytes(), draw)
        if data is None:
            return False
        path.write_bytes(data)
    return True


def owner():
    """Root may read what is closed, so its processes belong to nobody."""
    return (NOBODY, NOBODY) if os.geteuid() == 0 else (os.getuid(), os.getgid())


# ---- a case ----

class Case(Site):
    """A copy of the template with one file damaged."""

    def __init__(self, folder, template):
        super().__init__(folder, template.programs)
        self.digits = template.digits
        folder, self.template, self.port, self.names = self.folder, template, template.port, template.names
        for name in [*self.names, "server"]:
            shutil.copytree(template.folder / name, folder / name, ignore=shutil.ignore_patterns("*.sock"))
        for index, name in enumerate(self.names):
            self.configs[name] = self.write_client(name, index, len(self.names), RUN)
        (folder / "server.log").write_text(f"version={template.version}; closed\n")
        os.chown(folder, *owner())
        for path in folder.rglob("*"):
            os.chown(path, *owner())
        self.user = owner()[0] if os.geteuid() == 0 else None

    def find(self, pattern):
        """The file of this kind; of several the newest, and of the residuals the right one."""
        paths = [path for path in self.folder.rglob("*") if path.is_file() and re.fullmatch(pattern, str(path.relative_to(self.folder)))]
        must(paths, f"no file of the kind {pattern} after a run")
        paths.sort(key=lambda path: int((re.findall(r"\d+", path.name) or [0])[-1]))
        return paths[0 if "before" in pattern else -1]

    def outcome(self, path):
        """Starts everything; "went on", or what the process said that ended by itself."""
        self.start_server()
        if not self.settles(self.server, lambda: "ready on" in self.log("server")):
            return self.end_of("server", self.server)
        if path.name == "server.yaml":
            return "lives, with other settings"
        self.start_clients()
        wanted = self.template.version + 3
        if self.settles(self.clients["client-0"], lambda: logged_version(self) >= wanted):
            return "went on"
        return self.end_of("client-0", self.clients["client-0"])

    def settles(self, process, holds):
        """True once that holds, False when the process has ended."""
        end = time.monotonic() + PATIENCE
        while not holds():
            if process.poll() is not None:
                return holds()
            if time.monotonic() > end:
                raise Failed("; ".join(f"{name}: {self.last_words(name)}" for name in ("server", "client-0")))
            time.sleep(0.01)
        return True

    def end_of(self, name, process):
        must(process.returncode in (1, 3, 5, 7, 8), f"{name} ended with {process.returncode}: {self.last_words(name)}")
        return " / ".join(line.split("Z ")[-1] for line in self.log(name).strip().splitlines()[1 if name == "server" else 0:]
                          if " info " not in line)

    def findings(self):
        """What the audit finds, a line each."""
        done = subprocess.run([sys.executable, TOP / "tests" / "fault" / "audit.py", "--server", self.server_folder, "--run", RUN,
                               "--model", self.model, *[self.folder / n for n in self.names]], capture_output=True, text=True)
        must(done.stdout, f"the audit itself failed: {done.stderr[-500:]}")
        return done.stderr.strip().splitlines()

    def dropped(self):
        """Lost updates by client-0's own count."""
        return int(re.search(r"^dropped (\d+)", (self.folder / "client-0" / "runs" / RUN / "manifest").read_text(), re.M)[1])

    def proven_losses(self):
        database = sqlite3.connect(self.server_folder / "state.db")
        try:
            return database.execute("SELECT coalesce(sum(updates), 0) FROM losses").fetchone()[0]
        finally:
            database.close()


def check_books(case, meaning):
    """After a case that went on: what may be missing is what has been counted."""
    findings, dropped = case.findings() if case.template.has_grid else [], case.dropped()
    must(not findings, f"the audit: {findings}")
    if meaning == RESTORED:  # the audit holds it to what clients know
        counted = case.proven_losses()
        return f"went on, {'some' if counted > 2 else counted} lost updates counted"
    must(dropped == (meaning == OUTBOX), f"{dropped} lost updates counted")
    return "went on, one lost update counted" if dropped else "went on"


def check_refusal(said, path, meaning):
    names = [path.name]
    if path.name.startswith("state.db"):
        names += ["state.db", ".state"]  # without its newest rows the database may name a state that is gone
    must(any(name in said for name in names), f"{path.name} is not named: {said}")
    must(meaning == CONFIG or ADVICE.search(said), f"no word of what to do: {said}")


def damage_row(path, draw):
    """Flips a bit in the payload of the update that waits in a row for its round's end."""
    with sqlite3.connect(path) as database:
        payload = database.execute("SELECT payload FROM receipts WHERE verdict='accepted' AND applied_round IS NULL").fetchone()[0]
    database.close()
    data = path.read_bytes()
    at = data.rindex(payload) + draw.randrange(len(payload))
    path.write_bytes(flip(data, at, draw.randrange(8)))


def put_back(case, path, before):
    """The file as it was; for the database the server has to be stopped, and its log goes."""
    is_database = path.name == "state.db"
    if is_database:
        case.kill("server")
        for log in path.parent.glob("state.db-*"):
            log.unlink()
    path.unlink(missing_ok=True)
    path.write_bytes(before)
    os.chown(path, *owner())
    if is_database:
        case.start_server()


def wait_for_file(case, path, before):
    """The round of an update that cannot be read."""
    case.start_server()
    case.start_clients()
    said = case.wait_log("server", "server.round.*cannot be read", seconds=PATIENCE)
    must(ADVICE.search(said), f"no word of what to do: {said}")
    must(path.name in case.log("server"), f"{path.name} is not named: {case.last_words('server')}")
    put_back(case, path, before)
    must(case.settles(case.server, lambda: logged_version(case) >= case.template.version + 3), "the server ended")
    case.end_run()
    return f"«{said.split('; ', 1)[1]}», then {check_books(case, RESTORED if path.name == 'state.db' else WAITS)}"


def run_case(site, template, pattern, meaning, how, draw):
    """One damage; a few words of what came of it, None where the file cannot have it."""
    with tempfile.TemporaryDirectory(prefix="case.", dir=site.folder) as folder:
        os.chmod(folder, 0o755)
        case = Case(folder, template)
        try:
            path = case.find(pattern)
            if path.name == "state.db":  # what its log holds would hide the damage
                with sqlite3.connect(path) as database:
                    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                database.close()
                os.chown(path, *owner())
            before = path.read_bytes()
            if not damage(path, how, draw):
                return None
            if meaning == WAITS:
                return wait_for_file(case, path, before)
            said = case.outcome(path)
            if said == "lives, with other settings":
                return said
            if said != "went on":
                check_refusal(said, path, meaning)
                return f"«{said.rpartition(' / ')[2].replace(str(case.folder) + '/', '')[:200]}»"
            case.end_run()
            if "history" in pattern or "v0" in pattern:  # nothing but the audit reads it
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
                path.write_bytes(before)
            return check_books(case, meaning)
        except Failed as exception:
            raise Failed(f"{how}: {exception}") from exception
        finally:
            case.check_processes()
            case.stop_all()


def try_kind(site, name, pattern, meaning):
    draw = random.Random(f"{site.seed} {name}")
    template = Template.of(site.server_program.parent, LARGE if name == "server_payload" else KEEPS_STATE if meaning == AFRESH else {})
    damages = SOME.get(name, DAMAGES)
    if site.short:
        damages = [draw.choice(damages)]
    seen, failures = {}, []
    for how in damages:
        try:
            words = run_case(site, template, pattern, meaning, how, draw)
            if words:
                seen.setdefault(words, []).append(how)
        except Failed as exception:
            failures.append(str(exception))
    must(not failures, " // ".join(failures))
    return "; ".join(f"{', '.join(hows)}: {words}" for words, hows in seen.items())


def add(name, pattern, meaning):
    CONDITIONS.append(Condition(name, "files", f"{name.replace('_', ' ')} damaged: {', '.join(SOME.get(name, DAMAGES))}", meaning, name != "server_payload",
                                lambda site: try_kind(site, name, pattern, meaning)))


for kind in KINDS:
    add(*kind)
