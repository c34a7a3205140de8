"""Command line over Smolfile over image."""

from smolpack.settings import Settings, merge
from smolpack.spec import RunDefaults

IMAGE = Settings(
    entrypoint=("/image",),
    cmd=("of", "image"),
    env=("PATH=/image", "LANG=C"),
    workdir="/image",
    labels=("a=image", "b=image"),
    stop_signal=9,
    exposed_ports=("80/tcp",),
    volumes=("/data",),
)


def test_nothing_said() -> None:
    assert merge() == merge(Settings(), Settings()) == RunDefaults()


def test_the_strongest_counts() -> None:
    smolfile = Settings(workdir="/smolfile", cpus=2, memory=1 << 30, env=("LANG=de", "A=1"))
    run = merge(IMAGE, smolfile, Settings(cpus=3, env=("PATH=/cli",), labels=("b=cli", "c=cli")))
    assert (run.workdir, run.cpus, run.memory, run.stop_signal) == ("/smolfile", 3, 1 << 30, 9)
    assert run.env == ("PATH=/cli", "LANG=de", "A=1")
    assert run.labels == ("a=image", "b=cli", "c=cli")


def test_ports_and_volumes_are_collected() -> None:
    run = merge(IMAGE, Settings(exposed_ports=("53/udp", "80/tcp"), volumes=("/more",)))
    assert run.exposed_ports == ("80/tcp", "53/udp")
    assert run.volumes == ("/data", "/more")


def test_an_entrypoint_ends_the_command_of_weaker_places() -> None:
    run = merge(IMAGE, Settings(entrypoint=("/mine",)))
    assert (run.entrypoint, run.cmd) == (("/mine",), ())
    run = merge(IMAGE, Settings(cmd=("smolfile",)), Settings(entrypoint=("/mine",), cmd=("x",)))
    assert (run.entrypoint, run.cmd) == (("/mine",), ("x",))
    run = merge(IMAGE, Settings(entrypoint=("/smolfile",)), Settings(cmd=("cli",)))
    assert (run.entrypoint, run.cmd) == (("/smolfile",), ("cli",))


def test_a_command_keeps_the_entrypoint() -> None:
    run = merge(IMAGE, Settings(cmd=("mine",)))
    assert (run.entrypoint, run.cmd) == (("/image",), ("mine",))


def test_there_can_be_none() -> None:
    run = merge(IMAGE, Settings(entrypoint=(), cmd=()))
    assert run.argv0 is None
