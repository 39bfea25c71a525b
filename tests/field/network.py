"""Networks that lie, cut, stall and move, between real clients and a real server."""
import contextlib
import re
import socket

from condition import condition, must
from field_site import SECONDS, Site, pause
from lab import free_port, wait_until
from relay import Proxy, Relay, page


def relayed(site, clients=2, **spec):
    """A run whose client-0 goes through a relay."""
    site.deploy(clients=clients, start=False, **spec)
    relay = Relay(site.port)
    site.closing(relay.close)
    site.point_to("client-0", relay.url)
    site.start_clients()
    site.wait_version(2)
    return relay


def move_server(site, port):
    site.server.terminate()
    must(site.server.wait(timeout=SECONDS) == 0, f"the server's clean stop ended with {site.server.returncode}")
    path = site.server_folder / "server.yaml"
    path.write_text(re.sub(r"port: \d+", f"port: {port}", path.read_text(), count=1))
    site.port = port
    site.start_server()
    site.server_ready()


@condition("the server moves to another port; the clients are told one after the other", "clients that do not know yet ask on at the old port and name "
           "it; told, each goes on with the update that waited", short=True)
def server_on_another_port(site):
    site.deploy()
    site.wait_version(2)
    mark, old = site.log_size("client-1"), site.port
    move_server(site, free_port())
    said = site.wait_log("client-1", f":{old}", since=mark)
    for name in site.names:
        site.restart_client(name, f"https://127.0.0.1:{site.port}")
    site.goes_on()
    return f"«{said.split('Z ')[-1].strip()[:160]}», then " + site.finish()


@condition("the server is reached by another name that its certificate has, then by an address that it has not",
           "the first works; the second sends nothing, says that the certificate is for other names, asks on, and works again with a right one", short=True)
def server_behind_another_name(site):
    site.deploy(clients=1, hosts="127.0.0.1,localhost")
    site.wait_version(1)
    site.restart_client("client-0", f"https://localhost:{site.port}")
    site.goes_on()
    relay = Relay(site.port, address="127.0.0.2")
    site.closing(relay.close)
    mark = site.log_size("client-0")
    site.restart_client("client-0", relay.url)
    said = site.wait_log("client-0", "127.0.0.2.*(certificate|SSL)", since=mark)
    before = site.receipts()
    site.wait_log("client-0", "attempt=2", since=mark)
    must(site.receipts() == before, "an update went to a server that the certificate does not name")
    site.restart_client("client-0", f"https://127.0.0.1:{site.port}")
    site.goes_on()
    return f"«{said.split('Z ')[-1].strip()[:160]}», then " + site.finish()


@condition("a network's sign-in page instead of the server: 200 with HTML in plain HTTP, then by TLS with a certificate of another authority",
           "the client believes neither, keeps its update, asks on, and goes on when the server is back", short=True)
def sign_in_page(site):
    site.deploy(clients=1)
    site.wait_version(2)
    other = Site(site.folder / "other", site.server_program.parent)
    other.folder.mkdir()
    other.init(uses=1)
    authority = other.server_folder / "authority"
    said = []
    for chain in (None, (authority / "server.pem", authority / "server.key")):
        mark = site.log_size("client-0")
        site.kill("server")
        proxy = Proxy(lambda method, path: page(200), port=site.port, chain=chain)
        said.append(site.wait_log("client-0", r"client\.http(?!.*Failed to connect)", since=mark))
        site.wait_log("client-0", "attempt=2", since=mark)
        must(not chain or not proxy.seen, f"requests went to a server of another authority: {proxy.seen}")
        proxy.close()
        site.start_server()
        site.server_ready()
        site.goes_on(1)
    return " and ".join(f"«{line.split(': ', 1)[-1].strip()[:110]}»" for line in said) + ", then " + site.finish()


FALSE_VERDICTS = [page(200), page(201), (201, {}, b""), (200, {"Content-Type": "application/json"}, b'{"verdict":"accepted"}'), page(409),
                  page(410), page(422), page(412), page(502), page(503), page(429), (204, {}, b"")]


@condition("a proxy with a certificate of the right authority answers updates by itself: 200, 201, 204, 409, 410, 412, 422, 429, 502 and 503 with HTML, JSON or "
           "nothing; and now and then everything else likewise",
           "R3, R4: none of these commits, folds or drops; the same bytes again until a verdict that proves itself", short=True)
def proxy_answers_updates(site):
    site.deploy(clients=1, start=False)
    authority, folder, answers = site.server_folder / "authority", site.folder / "client-0", list(FALSE_VERDICTS)
    counts = {"false": 0}

    def answer(method, path):
        counts[method] = counts.get(method, 0) + 1
        if method == "PUT" and "/updates/" in path and answers:
            counts["false"] += 1
            return answers.pop(0)
        return page(200) if method == "GET" and counts["GET"] % 5 == 4 else None

    proxy = Proxy(answer, chain=(authority / "server.pem", authority / "server.key"), target=site.port, root=folder / "root.pem",
                  identity=(folder / "client.pem", folder / "key.pem"))
    site.closing(proxy.close)
    site.point_to("client-0", f"https://127.0.0.1:{proxy.port}")
    site.start_clients()
    site.wait_log("client-0", "attempt=3")
    must(site.version() == 0 and site.receipts() == 0, "the server has verdicts of updates that it never saw")
    # Back-off grows with each: a restart begins anew, and must send the same bytes.
    while answers:
        left = len(answers)
        wait_until(lambda: len(answers) <= left - 2 or not answers, SECONDS, "further tries")
        site.kill("client-0")
        site.start_clients()
    site.wait_version(2)
    sent = {digest for _, path, digest in proxy.seen if path.endswith("/updates/1")}
    must(len(sent) == 1, f"update 1 was sent with {len(sent)} different bodies")
    site.goes_on()
    return f"{counts['false']} false answers, each of another kind, believed by nobody; " + site.finish()


@condition("the connection of an update is cut after so many bytes of it: none, one, in the head, in the body, before its last byte, after all of it; by FIN and by RST",
           "R2: the same update again; the server knows it if it had arrived; nothing lost, nothing twice", short=True)
def update_cut(site):
    return cut_updates(site, relayed(site), [0, 200, -1, "answer", "reset"])


@condition("the same with an update of 125 KB and more places", "the same")
def large_update_cut(site):
    relay = relayed(site, model="{kind: mlp, inputs: 64, outputs: 10, hidden: [512]}", codec="{name: int-threshold, lambda: 0.0000152587890625}")
    return cut_updates(site, relay, [0, 1, 5, 100, 300, 1000, 20000, -10000, -30, -1, "answer", "reset"])


def cut_updates(site, relay, places):
    for place in places:
        cuts = relay.cuts
        relay.cut_next(place, lambda: site.has_outbox("client-0"))
        wait_until(lambda: relay.cuts > cuts, SECONDS, f"a cut at {place}")
        site.goes_on(1)
    return f"{relay.cuts} cuts ({', '.join(map(str, places))}); " + site.finish()


@condition("the network stalls for some seconds, then delivers byte by byte", "nothing is given up or sent twice; goes on by itself", short=True)
def network_stalls(site):
    relay = relayed(site)
    relay.stalls = True
    pause(3)
    site.must_live()
    relay.stalls, relay.slow = False, True
    site.goes_on()
    relay.slow = False
    return "went on; " + site.finish()


@condition("a thousand connections in a row are dropped as soon as they are made, the client's between them", "no crash, back-off instead of a busy "
           "loop, goes on when the network is back")
def thousand_drops(site):
    relay = relayed(site)
    mark = site.log_size("client-0")
    relay.drops = 10**9
    relay.end_all()
    for _ in range(1000):
        with contextlib.suppress(ConnectionError):
            socket.create_connection((relay.address, relay.port), timeout=5).close()
    wait_until(lambda: relay.dropped >= 1003, SECONDS, "further tries of the client")
    tries = site.log("client-0", mark).count("attempt=")
    must(tries < 200, f"{tries} tries")
    site.must_live()
    relay.drops = 0
    site.goes_on()
    return f"{relay.dropped} connections dropped, {tries} tries of the client; " + site.finish()
