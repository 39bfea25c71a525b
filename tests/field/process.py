"""Processes that stand still, die together, are copied, or are besieged by strangers."""
import contextlib
import os
import re
import resource
import shutil
import signal
import socket
import ssl
import threading

from condition import Skipped, condition, must
from field_site import RUN, SECONDS, pause
from lab import wait_until

CLIENT_TIMEOUT = 19  # seconds: a request for work waits poll_ms (3 s) and 15 s more
PEERS = 1000


@condition(f"the server stands still (SIGSTOP) for {CLIENT_TIMEOUT} s, longer than the clients wait for an answer, then goes on",
           "the clients give up that request, ask again, and everything goes on by itself")
def server_stands_still(site):
    site.deploy()
    site.wait_version(2)
    marks = {name: site.log_size(name) for name in site.names}
    site.server.send_signal(signal.SIGSTOP)
    pause(CLIENT_TIMEOUT)
    site.server.send_signal(signal.SIGCONT)
    site.must_live()
    site.goes_on()
    said = " ".join(site.log(name, mark) for name, mark in marks.items())
    return f"{said.count('attempt=')} requests given up; " + site.finish()


def deploy_open(site, max_late):
    """Two clients whose rounds go on without one of them after 0.7 s."""
    site.deploy(round_settings={"minimum": 1, "target": 1, "over_select": 1, "deadline_ms": 700, "max_late": max_late})


@condition("a client stands still over the deadlines of several rounds, with work in its hands, then goes on",
           "the others' rounds go on without it; its late update counts once or is folded back; it takes part again", short=True)
def client_stands_still(site):
    deploy_open(site, max_late=1)
    site.wait_version(2)
    wait_until(lambda: site.has_outbox("client-1"), SECONDS, "an update of client-1")
    site.clients["client-1"].send_signal(signal.SIGSTOP)
    before = site.version()
    site.wait_version(before + 4)
    mark = site.log_size("client-1")
    site.clients["client-1"].send_signal(signal.SIGCONT)
    site.wait_log("client-1", "verdict=accepted", since=mark)
    site.goes_on()
    late = site.log("client-1", mark).count("verdict=late")
    return f"{site.version() - before} rounds meanwhile and after, {late} of its updates late; " + site.finish()


@condition("a client is killed with an update in its outbox, is away for 30 rounds and comes back",
           "it catches up, what had been judged is known, what had not is late and folded back; nothing is lost", short=True)
def client_far_behind(site):
    deploy_open(site, max_late=0)
    site.wait_version(2)
    wait_until(lambda: site.has_outbox("client-1"), SECONDS, "an update of client-1")
    site.kill("client-1")
    before = site.version()
    site.wait_version(before + 30)
    mark = site.log_size("client-1")
    site.start_client("client-1", site.configs["client-1"])
    site.wait_log("client-1", "verdict=accepted", since=mark)
    site.goes_on()
    return f"{site.version() - before} rounds meanwhile and after, {site.log('client-1', mark).count('verdict=late')} late; " + site.finish()


@condition("server and all clients are killed (SIGKILL) at the same moment, three times", "everything is taken up and goes on", short=True)
def all_killed(site):
    site.deploy()
    for round in range(3):
        site.wait_version(2 * round + 2)
        for process in [site.server, *site.clients.values()]:
            process.send_signal(signal.SIGKILL)
        for name in ["server", *site.names]:
            site.kill(name)
        site.start_clients()  # before their server
        site.start_server()
    site.goes_on()
    return "taken up three times; " + site.finish()


@condition("a copy of a client's folder is used at the same time as the folder itself",
           "R1, R2: the one whose number is used up stops with exit 7, says that a copy is in use and what to do, and leaves its folder as it is", short=True)
def clone(site):
    site.deploy(clients=1)
    site.wait_version(2)
    site.kill("client-0")
    copy = site.folder / "copy" / "client-0"
    shutil.copytree(site.folder / "client-0", copy)
    config = site.folder / "copy.yaml"
    config.write_text(re.sub(r"state: .*", f"state: {copy}", site.configs["client-0"].read_text()))
    site.start_clients()
    site.start_client("copy", config)
    ended = wait_until(lambda: next((name for name in ("client-0", "copy") if site.clients[name].poll() is not None), None), SECONDS, "the end of one")
    site.must_end(ended, 7)
    said = site.wait_log(ended, "out of step|conflict")
    must("copy" in said, f"no word of a copy: {said}")
    goes_on = "copy" if ended == "client-0" else "client-0"
    site.must_live("server", goes_on)
    site.goes_on()
    if goes_on == "copy":  # its folder holds the books now
        shutil.rmtree(site.folder / "client-0")
        site.clients["copy"].terminate()
        site.must_end("copy", 130)
        shutil.copytree(copy, site.folder / "client-0")
        site.start_clients()
    del site.clients["copy"]
    return f"{ended} stopped: «{said.split('Z ')[-1].strip()[:150]}...»; " + site.finish()


@condition("an old copy of a client's folder is put in its place, then the newest again", "exit 7, the copy stays as it is, the way out is named; the "
           "newest goes on", short=True)
def old_copy(site):
    site.deploy(clients=1)
    site.wait_version(2)
    site.kill("client-0")
    folder, newest, old = (site.folder / name for name in ("client-0", "newest", "old"))
    shutil.copytree(folder, old)
    site.start_clients()
    site.goes_on()
    site.kill("client-0")
    folder.rename(newest)
    shutil.copytree(old, folder)
    manifest = (folder / "runs" / RUN / "manifest").read_bytes()
    site.start_clients()
    site.must_end("client-0", 7)
    said = site.last_words("client-0")
    must("resync" in said, f"no word of resync: {said}")
    must((folder / "runs" / RUN / "manifest").read_bytes() == manifest, "the manifest was changed")
    shutil.rmtree(folder)
    newest.rename(folder)
    site.start_clients()
    site.goes_on()
    return "stopped, the newest goes on; " + site.finish()


@condition("a client's clock jumps to 1970, back, then 300 days ahead", "it goes on at the time that it has last seen; 300 days ahead it renews its certificate first")
def clock_jumps(site):
    shim = os.environ.get("FL_CLOCK_SHIM") or next(iter(site.server_program.parent.parent.rglob("libfl_clock_shim.so")), None)
    if not shim:
        raise Skipped("no FL_CLOCK_SHIM, built with the tests")
    site.deploy(clients=1)
    site.wait_version(2)
    for shift in (-20000 * 86400, 0, 300 * 86400):
        site.stop_client("client-0")
        site.environment |= {"LD_PRELOAD": str(shim), "FL_CLOCK_SHIFT_S": str(shift)}
        site.start_clients()
        site.environment.pop("LD_PRELOAD")
        site.goes_on()
    must("the certificate is renewed" in site.log("client-0"), "300 days ahead the certificate is not renewed")
    return "went on at each, renewed once; " + site.finish()


def besiege(site, number, kind, kept):
    """One stranger's connection: as far as kind says, then kept open. To be refused is as good."""
    with contextlib.suppress(OSError):
        peer = socket.create_connection(("127.0.0.1", site.port), timeout=10, source_address=(f"127.0.0.{2 + number % 50}", 0))
        kept.append(peer)
        if kind == "half a handshake":
            peer.sendall(bytes.fromhex("1603010200010001fc0303"))
        elif kind == "noise":
            peer.sendall(os.urandom(300))
        elif kind == "half a header":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            kept.append(context.wrap_socket(peer))
            kept[-1].sendall(b"GET /v1/runs HTT")


@condition(f"{PEERS} connections of strangers from 50 addresses while a run goes on: nothing, half a handshake, noise or half a header, and kept open",
           "no more are let in than the limits say; the run goes on meanwhile, the server lives and says a few lines at most", short=True)
def strangers(site):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2 * PEERS:
        raise Skipped(f"needs {2 * PEERS} open files, may have {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (2 * PEERS, hard))
    site.deploy()
    site.wait_version(2)
    mark, before, kept = site.log_size("server"), site.version(), []
    kinds = ["nothing", "half a handshake", "noise", "half a header"]

    def part(first):
        for number in range(first, PEERS, 8):
            besiege(site, number, kinds[number // 8 % 4], kept)

    threads = [threading.Thread(target=part, args=(first,)) for first in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=SECONDS)
    must(not any(thread.is_alive() for thread in threads), "some connections hang")
    site.goes_on()
    site.must_live()
    made, lines = site.version() - before, [line for line in site.log("server", mark).splitlines() if "server.round" not in line]
    must(any("strangers" in line for line in lines), "the limit of strangers was never reached")
    must(len(lines) < 100, f"{len(lines)} lines of log about it: {lines[-1:]}")
    for peer in kept:
        peer.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    site.goes_on()
    return f"{made} rounds meanwhile, {len(lines)} lines of log about it; " + site.finish()
