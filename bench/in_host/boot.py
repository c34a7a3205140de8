"""exec to the first output byte and to the end, for a program that says hello."""

from bench.in_host import contenders

ROUNDS = 5
CONTENDERS = {
    "ours": contenders.ours("hello"),
    "QEMU microvm, initramfs": contenders.qemu_plain("hello"),
    "QEMU microvm, lean, initramfs": contenders.qemu_initramfs("hello"),
    "QEMU microvm, lean, virtio-blk": contenders.qemu_root("hello"),
}


def samples() -> dict[str, dict[str, list[float]]]:
    """Milliseconds: contender -> "first" and "exit" -> samples, taken in turns."""
    result: dict[str, dict[str, list[float]]] = {
        name: {"first": [], "exit": []} for name in CONTENDERS
    }
    for turn in range(ROUNDS + 1):
        for name, command in CONTENDERS.items():
            seen = contenders.timed(command)
            if "hello" not in seen["head"]:
                raise RuntimeError(f"{name} did not say hello: {seen}")
            if turn == 0:  # fills the page cache
                continue
            for moment in ("first", "exit"):
                result[name][moment].append((seen[moment] - seen["start"]) / 1e6)
    return result
