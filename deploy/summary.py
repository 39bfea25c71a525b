#!/usr/bin/env python3
"""Sums up a finished quickstart run: prints it, and writes it as JSON."""
import argparse
import json


def human(count):
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024


def load(path):
    with open(path) as file:
        return json.load(file)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("status", "evaluate", "codec", "partition", "model", "json"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--central", help="result of training on the pooled data")
    for name, kind in (("clients", int), ("alpha", float), ("seconds", float)):
        parser.add_argument("--" + name, type=kind, required=True)
    options = parser.parse_args()
    status = load(options.status)
    run, rounds = status["runs"][0], status["rounds"]
    test = load(options.evaluate)
    central = load(options.central)["test_accuracy"] if options.central else None
    summary = {
        "test_accuracy": test["test_accuracy"],
        "test_loss": test["test_loss"],
        "central_accuracy": central,
        "rounds": sum(1 for r in rounds if r["closed"] and r["kind"] == "train"),
        "clients": options.clients,
        "seconds": options.seconds,
        "codec": options.codec,
        "partition": options.partition,
        "alpha": options.alpha if options.partition == "dirichlet" else None,
        "dense_below": run["codec"]["dense_below"],
        "lambda": run["codec"]["lambda"],
        "parameters": run["elems"],
        "uplink_bytes": run["uplink_bytes"],
        "uplink_dense_bytes": run["uplink_dense_bytes"],
        "uplink_header_bytes": run["uplink_header_bytes"],
        "downlink_bytes": run["downlink_bytes"],
        "downlink_dense_bytes": run["downlink_dense_bytes"],
        "downlink_header_bytes": run["downlink_header_bytes"],
        "residual_norm": run["residual_norm"],
        "model_path": options.model,
    }
    parts = f" by tensors, dense below {summary['dense_below']}" if summary["dense_below"] else ""
    print(f"test accuracy        {summary['test_accuracy']:.4f}   ({summary['rounds']} rounds, {options.clients} clients, {options.codec}{parts})")
    if central is not None:
        print(f"central baseline     {central:.4f}   (same model, pooled data, as many examples)")
    for way in ("uplink", "downlink"):
        sent, dense, head = (summary[f"{way}_{kind}bytes"] for kind in ("", "dense_", "header_"))
        ratio = f"{dense / sent:.1f} times less than dense ({human(dense)})" if sent else "nothing sent"
        print(f"{way:<9} bodies     {human(sent)}, {ratio}; HTTP headers besides: {human(head)}")
    print(f"largest residual     {summary['residual_norm']:.4g} (l2 norm, newest round)")
    print(f"time                 {options.seconds:.1f} s")
    print(f"model                {options.model}")
    if options.json:
        with open(options.json, "w") as file:
            json.dump(summary, file, indent=2)
            file.write("\n")


if __name__ == "__main__":
    main()
