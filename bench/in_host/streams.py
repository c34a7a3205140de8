"""Throughput of standard streams, beside QEMU's virtio-serial with the same program, and beside
the pipes alone: no machine whose standard streams are pipes can be faster."""

from bench.in_host import contenders

ROUNDS = 3
BYTES = 32 << 20
CONTENDERS = {
    "ours": contenders.ours,
    "QEMU virtio-serial": contenders.qemu_port,
    "QEMU virtio-serial, through pipes": contenders.qemu_piped_port,
    "pipes without a machine": contenders.bare,
}


def samples() -> dict[str, dict[str, list[float]]]:
    """MB/s: contender -> "guest to host" and "host to guest" -> samples, taken in turns."""
    result: dict[str, dict[str, list[float]]] = {
        name: {"guest to host": [], "host to guest": []} for name in CONTENDERS
    }
    for _ in range(ROUNDS):
        for name, command in CONTENDERS.items():
            out = contenders.timed(command("send", str(BYTES)), receive=BYTES + 1)
            into = contenders.timed(command("receive", str(BYTES)), send=BYTES, receive=2)
            if out["received"] != BYTES + 1 or into["received"] != 2:
                raise RuntimeError(f"{name} lost data: {out}, {into}")
            result[name]["guest to host"].append(_rate(out["last"] - out["first"]))
            result[name]["host to guest"].append(_rate(into["last"] - into["first"]))
    return result


def _rate(ns: int) -> float:
    return BYTES * 1e3 / ns
