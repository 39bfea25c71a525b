"""Operators' mistakes: each is told apart and named, with what to do."""
import shutil

from condition import condition, must
from field_site import RUN, Site


def wrong_data(site, name, lines, **settings):
    """A client whose own file holds these lines."""
    path = site.folder / f"{name}.csv"
    path.write_text(lines)
    token = site.admin("token", "create", "--uses", "1")["token"]
    site.enroll(name, token)
    return site.write_client(name, 0, 1, RUN, **({"data.path": path, "data.partition": "none"} | settings))


def rows(features, label):
    return "".join(",".join(["1"] * features) + f",{label if row % 2 else 0}\n" for row in range(20))


@condition("a second server and a second client on a folder in use", "exit 6, the folder is named; the first goes on", short=True)
def folder_in_use(site):
    site.deploy(clients=1)
    site.wait_version(1)
    site.try_command(site.server_program, "serve", "--config", site.server_folder / "server.yaml", code=6,
                     text=[str(site.server_folder), "another process"])
    site.try_command(site.client_program, "run", "--config", site.configs["client-0"], code=6, text=["client-0", "another process"])
    site.goes_on()
    return "both refused; " + site.finish()


@condition("a run that the server does not have", "the client names the run and asks again; it takes part once the run is made")
def wrong_run_name(site):
    token = site.init(uses=1)["token"]
    site.start_server()
    site.server_ready()
    site.add_client("client-0", token, 0, 1)
    site.start_clients()
    said = site.wait_log("client-0", rf"{RUN}.*(404|no run|no such run)")
    site.create_run(1)
    site.wait_version(2)
    return f"«{said.split('Z ')[-1].strip()}», then " + site.finish()


@condition("a client with another server's authority in its folder", "it says that the certificate is not of the authority that it "
           "enrolled with, sends nothing, and works again with the right file", short=True)
def another_root(site):
    site.deploy(clients=1, start=False)
    other = Site(site.folder / "other", site.server_program.parent)
    other.folder.mkdir()
    other.init(uses=1)
    root = site.folder / "client-0" / "root.pem"
    shutil.copy(root, site.folder / "right.pem")
    shutil.copy(other.server_folder / "authority" / "root.pem", root)
    said = site.try_command(site.client_program, "run", "--config", site.configs["client-0"], code=(5, 7), text=["root.pem", "enrol"])
    shutil.copy(site.folder / "right.pem", root)
    site.start_clients()
    site.wait_version(1)
    return f"«{said.splitlines()[-1]}», then " + site.finish()


@condition("data with more or fewer features than the run, labels out of its range, an empty and a missing file",
           "exit 8 (3 for the missing file) with both numbers, nothing sent", short=True)
def data_of_another_shape(site):
    site.deploy(clients=1, start=False)
    cases = {
        "narrow": (rows(63, 9), 8, ["63", "64"]),
        "wide": (rows(65, 9), 8, ["65", "64"]),
        "label": (rows(64, 10), 8, ["10"]),
        "empty": ("", 8, ["empty.csv"]),
    }
    for name, (lines, code, text) in cases.items():
        site.try_command(site.client_program, "run", "--config", wrong_data(site, name, lines), code=code, text=text)
    missing = wrong_data(site, "missing", rows(64, 9), **{"data.path": site.folder / "none.csv"})
    site.try_command(site.client_program, "run", "--config", missing, code=3, text="none.csv")
    return f"{len(cases) + 1} files refused, each with its reason"


@condition("misspelt and impossible settings of server, client and run spec", "exit 3 (or 2) with file, line and what is allowed", short=True)
def misspelt_settings(site):
    site.deploy(clients=1, start=False)
    server = (site.server_folder / "server.yaml").read_text()
    client = site.configs["client-0"].read_text()
    run = (site.folder / "run.yaml").read_text()
    serve, take_part = (site.server_program, "serve", "--config"), (site.client_program, "run", "--config")
    create = (site.server_program, "run", "create", "--dir", site.server_folder)
    cases = [
        (serve, server.replace("port:", "prot:", 1), "prot"),
        (serve, server + "\nlisten: {port: 70000}\n", "listen"),
        (take_part, client.replace("keep_history", "keep_hystory"), "keep_hystory"),
        (take_part, client.replace("alpha: 0.5", "alpha: minus"), "alpha"),
        (take_part, client.replace("https://", "http://"), "http"),
        (create, run.replace("int-threshold", "int-treshold"), "int-threshold"),
        (create, run.replace("inputs: 64", "inputs: 0"), "inputs"),
        (create, run.replace("rounds:", "round:", 1), "round"),
    ]
    for number, (words, text, named) in enumerate(cases):
        path = site.folder / f"wrong-{number}.yaml"
        path.write_text(text)
        must(text not in (server, client, run), f"case {number} changes nothing")
        site.try_command(*words, path, code=(2, 3), text=named if named == "http" else [path.name, named])
    return f"{len(cases)} files refused, each with its place"


@condition("commands against a server that is not running, and against a folder that is none", "exit 4 or 3, the folder and what to do are named",
           short=True)
def commands_without_server(site):
    site.init(uses=1)
    said = site.try_command(site.server_program, "run", "list", "--dir", site.server_folder, code=4, text=str(site.server_folder))
    site.try_command(site.server_program, "run", "list", "--dir", site.folder / "none", code=(1, 3, 4), text="none")
    site.try_command(site.server_program, "init", site.server_folder, code=(1, 3), text="not empty")
    return f"«{said.splitlines()[-1]}»"
