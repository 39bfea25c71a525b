"""Disks that are full or read-only, on either side. Needs root, for small file systems of their own."""
import os
import shutil
import subprocess

from condition import Skipped, condition, must
from field_site import NOBODY, RUN, SECONDS, pause

LARGE = {"model": "{kind: mlp, inputs: 64, outputs: 10, hidden: [2048]}", "codec": "{name: int-threshold, lambda: 0.0000152587890625}"}


def fill_server(site, **spec):
    """The server's disk fills up in the middle of a run, and is freed again."""
    disk = site.folder / "disk"
    site.small_disk(disk, 32768)
    site.server_folder = disk / "server"
    site.deploy(**spec)
    site.wait_version(2)
    mark = site.log_size("server")
    site.fill(disk)
    said = site.wait_log("server", "No space left|disk is full", since=mark)
    status, headers, body = site.admin_request("POST", "/v1/tokens", b'{"uses":1,"ttl_ms":60000}')
    must(status == 503 and headers["Retry-After"], f"a write on the full disk is answered {status} {headers} {body}")
    pause(3)
    site.must_live()
    flood = site.log("server", mark).count("\n")
    must(flood < 200, f"{flood} lines in the server's log in a few seconds")
    site.free(disk)
    site.goes_on()
    return f"«{said.split('Z ')[-1].strip()}», 503 with Retry-After {headers['Retry-After']}, {flood} lines of log, went on by itself; " + site.finish()


@condition("the server's disk is full in the middle of a run, then freed", "the server lives, names what is full and how much is needed, answers "
           "503 with Retry-After, accepts nothing that is not durable, and goes on by itself", short=True)
def server_disk_full(site):
    return fill_server(site)


@condition("the same with updates and versions too large for the database's rows", "the same")
def server_disk_full_of_blobs(site):
    return fill_server(site, **LARGE)


@condition("a server is started on a full disk, and again once there is room", "a clear end with what is full, or it serves; nothing is damaged")
def server_starts_on_full_disk(site):
    disk = site.folder / "disk"
    site.small_disk(disk, 16384)
    site.server_folder = disk / "server"
    site.deploy()
    site.wait_version(2)
    site.kill("server")
    site.fill(disk)
    site.start_server()
    pause(3)
    code = site.server.poll()
    must(code in (None, 1), f"the server ended with {code}; its last words: {site.last_words('server')}")
    said = site.wait_log("server", "No space left|disk is full")
    site.free(disk)
    if code is not None:
        site.start_server()
    site.server_ready()
    site.goes_on()
    return f"«{said.split('Z ')[-1].strip()}»; " + site.finish()


@condition("a client's disk is full in the middle of a run, then freed", "it says what is full and how much is needed, waits, goes on by itself with the "
           "same update; a restart while it is full changes nothing", short=True)
def client_disk_full(site):
    disk = site.folder / "client-0"
    site.small_disk(disk, 4096)
    site.deploy()
    site.wait_version(2)
    mark = site.log_size("client-0")
    site.fill(disk)
    said = site.wait_log("client-0", "No space left", since=mark)
    pause(2)
    site.must_live()
    lines = site.log("client-0", mark).count("\n")
    must(lines < 50, f"{lines} lines in the client's log in a few seconds")
    site.kill("client-0")
    site.start_client("client-0", site.configs["client-0"])
    pause(2)
    site.free(disk)
    if site.clients["client-0"].poll() is not None:
        must(site.clients["client-0"].returncode == 1, f"the client ended with {site.clients['client-0'].returncode}")
        site.start_client("client-0", site.configs["client-0"])
    site.goes_on()
    return f"«{said.split('Z ')[-1].strip()}»; " + site.finish()


@condition("`init` and `enroll` on a full disk, then again with room", "each says that the disk is full; the second try works, whatever the first left",
           short=True)
def first_steps_on_full_disk(site):
    disk = site.folder / "disk"
    site.small_disk(disk, 1024)
    folder = disk / "server"
    tries, left = 0, 0
    words = [site.server_program, "init", folder, "--host", "127.0.0.1", "--port", site.port, "--token-uses", 4, "--json"]
    for left in (0, 4096, 12288, 20480, 28672, 40960, 65536, 98304):  # it fails at another step each time
        site.fill(disk, left)
        done = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=SECONDS)
        site.free(disk)
        if done.returncode == 0:
            break
        tries += 1
        must(done.returncode == 1 and ("No space left" in done.stderr or "full" in done.stderr), f"init with {left} bytes of room: {done.returncode} {done.stderr}")
        must(not folder.exists() or not os.listdir(folder), f"init with {left} bytes of room leaves {sorted(p.name for p in folder.rglob('*'))}")
    must(tries >= 2, "the disk was never too full")
    if done.returncode != 0:
        done = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=SECONDS)
    must(done.returncode == 0, f"init with room: {done.stderr}")
    shutil.rmtree(folder)
    answer = site.init(uses=4)
    site.start_server()
    site.server_ready()
    site.create_run(1)
    state = disk / "client-0"
    enroll = [site.client_program, "enroll", "--server", f"https://127.0.0.1:{site.port}", "--token", answer["token"],
              "--ca-fingerprint", site.fingerprint, "--state", state, "--name", "client-0"]
    refused = 0
    for left in (0, 4096, 8192):
        site.fill(disk, left)
        done = subprocess.run([str(w) for w in enroll], capture_output=True, text=True, timeout=SECONDS)
        site.free(disk)
        if done.returncode == 0:
            break
        refused += 1
        must(done.returncode == 1 and "No space left" in done.stderr, f"enroll with {left} bytes of room: {done.returncode} {done.stderr}")
    if done.returncode != 0:
        site.try_command(*enroll, code=0)
    clients = site.admin("clients", "list")["clients"]
    must(len(clients) == 1, f"the repeated enrolment made {len(clients)} clients")
    return f"init failed {tries} times, each time clean, then worked; enroll failed {refused} times, then worked: one client"


@condition("folders on a read-only file system: init, serve, enroll, run", "exit 1, the path, that the file system is read-only, and what to do", short=True)
def read_only_at_start(site):
    answer = site.init(uses=2)
    site.start_server()
    site.server_ready()
    site.create_run(1)
    site.add_client("client-0", answer["token"], 0, 1)
    (site.folder / "bare").mkdir()
    client = [site.client_program, "run", "--config", site.configs["client-0"]]
    enroll = [site.client_program, "enroll", "--server", f"https://127.0.0.1:{site.port}", "--token", answer["token"],
              "--ca-fingerprint", site.fingerprint, "--state", site.folder / "bare" / "c"]
    site.read_only(site.folder / "bare")
    site.read_only(site.folder / "client-0")
    said = [site.try_command(site.server_program, "init", site.folder / "bare" / "s", code=1, text=["bare/s", "ead-only"]),
            site.try_command(*enroll, code=1, text=["bare/c", "ead-only"]),
            site.try_command(*client, code=1, text=["client-0", "ead-only"])]
    site.kill("server")
    site.read_only(site.server_folder)
    said.append(site.try_command(site.server_program, "serve", "--config", site.server_folder / "server.yaml", code=1,
                                 text=["server/", "ead-only"]))
    for line in said:
        must("writable" in line, f"no word of what to do: {line}")
    return f"«{said[-1].splitlines()[-1]}»"


def as_nobody(site):
    """The processes of the run belong to a user whose folders can be closed to him."""
    if os.geteuid() != 0:
        raise Skipped("needs root, to start processes as another user")
    for path in [site.folder, *site.folder.rglob("*")]:
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    os.chmod(site.folder, 0o755)


@condition("the state folders of server and client lose their write permission in the middle of a run, and get it back",
           "both name the path and the reason, wait and go on, or end with exit 1 and go on when started again")
def closed_in_the_middle(site):
    site.user = NOBODY
    site.open_programs()
    answer = site.init(uses=3)
    as_nobody(site)
    site.start_server()
    site.server_ready()
    site.create_run(1, **LARGE)
    site.add_client("client-0", answer["token"], 0, 1)
    as_nobody(site)
    site.start_clients()
    site.wait_version(2)
    said = []
    for name, folder in (("server", site.server_folder / "blobs"), ("client-0", site.folder / "client-0" / "runs" / RUN)):
        mark = site.log_size(name)
        os.chmod(folder, 0o500)
        said.append(site.wait_log(name, "Permission denied", since=mark).split("Z ")[-1].strip())
        pause(1)
        os.chmod(folder, 0o700)
        process = site.server if name == "server" else site.clients[name]
        if process.poll() is not None:
            must(process.returncode == 1, f"{name} ended with {process.returncode}: {site.last_words(name)}")
            site.start_server() if name == "server" else site.start_client(name, site.configs[name])
        site.goes_on()
    return f"«{said[0]}», «{said[1]}»; " + site.finish()
