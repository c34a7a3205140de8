"""What a container image's configuration asks for, on files that do not have it."""

import signal

import pytest
from machine import Machine

LAUNCHER_FAILURE = 125

# Names what it gets; QUIT ends it.
TRAPPING = """
for name in TERM USR1 37; do trap "echo got $name" $name; done
trap 'echo got QUIT; exit 7' QUIT
echo ready
while :; do sleep 1000 & wait $!; done
"""

# Far below the five seconds that musl's resolver waits for an answer, five times that of glibc's.
RESOLVER_LIMIT_MS = 2500

# Name and command; each prints one line, and all of them run in one machine.
FACTS = {
    "user": "id -u; id -g; id -G",
    "home": "echo $HOME",
    "directory": "pwd; stat -c '%a %u %g' /srv /srv/web .",
    "new volume": "stat -c '%F %a %u %g' /srv/new",
    "volume behind a link": "stat -c '%F %a %u %g' /var/lib/elsewhere; stat -c %a /var/lib",
    "volume with files": "stat -c '%a %u' /var/data; cat /var/data/kept",
    "writable": "for name in . /srv/new /var/link /var/data; do echo x >$name/x && echo ok; done",
    "hosts": "stat -c '%F %a %u' /etc/hosts; cat /etc/hosts",
    "hostname": "stat -c '%F %a %u' /etc/hostname; cat /etc/hostname",
    "resolver": "stat -c '%F %a %u' /etc/resolv.conf; grep -c nameserver /etc/resolv.conf",
    "other files": "stat -c '%a %u' /etc; wc -l </etc/passwd; ls /run",
    "localhost": "resolve-name localhost",
    "own name": "resolve-name $(hostname)",
    "unknown name": "resolve-name no-such-host.example.org",
}


@pytest.fixture(scope="module")
def facts(machines) -> dict[str, list[str]]:
    """The lines that each command printed."""
    script = "\n".join(f"echo '<{name}>'; {command}" for name, command in FACTS.items())
    result = machines("service").run(f"{script}\nexit 0")
    assert result.status == 0 and not result.stderr, result.stderr
    parts = (part.partition(">\n") for part in result.text.split("<")[1:])
    return {name: text.splitlines() for name, _, text in parts}


def test_user_has_the_groups_and_the_home_of_the_images_files(facts) -> None:
    assert facts["user"] == ["1000", "1001", "1001 29 33"]
    assert facts["home"] == ["/home/web"]


def test_working_directory_is_made_for_the_user(facts) -> None:
    assert facts["directory"] == ["/srv/web/current", "755 0 0", "755 0 0", "755 1000 1001"]


def test_volumes_are_directories(facts) -> None:
    assert facts["new volume"] == ["directory 755 1000 1001"]
    assert facts["volume behind a link"] == ["directory 755 1000 1001", "755"]
    assert facts["volume with files"] == ["700 1000", "as packed"]
    assert facts["writable"] == ["ok"] * 4


def test_etc_has_the_machines_own_files(facts) -> None:
    """In place of two links and a directory, and of nothing else."""
    kind, *hosts = facts["hosts"]
    assert kind == "regular file 644 0"
    assert {"127.0.0.1\tlocalhost", "127.0.1.1\tsmolpack"} < set(hosts)
    assert facts["hostname"] == ["regular file 644 0", "smolpack"]
    assert facts["resolver"] == ["regular file 644 0", "0"]
    assert facts["other files"] == ["755 0", "2"]


def test_names_are_resolved_or_not_at_once(facts) -> None:
    (localhost,), (own,), (unknown,) = (
        facts[name] for name in ("localhost", "own name", "unknown name")
    )
    assert localhost.split()[1] in ("127.0.0.1", "::1")
    assert own.split()[1] == "127.0.1.1"
    assert int(unknown.split()[0]) < RESOLVER_LIMIT_MS


def test_names_are_resolved_or_not_at_once_by_glibc(debian: Machine) -> None:
    script = "getent hosts $(hostname); date +%s%3N; getent ahosts no-such.example.org; date +%s%3N"
    own, before, after = debian.run("sh", "-c", script).text.splitlines()
    assert own.split() == ["127.0.1.1", "smolpack"]
    assert int(after) - int(before) < RESOLVER_LIMIT_MS


def test_files_of_etc_belong_to_the_run(busybox: Machine) -> None:
    """Programs may change them as they like."""
    result = busybox.script("cd /etc && echo x >hosts && rm hostname resolv.conf && cat hosts; ls")
    assert result.text.split() == ["x", "group", "hosts", "passwd"]


def test_command_and_environment_are_the_images(machine) -> None:
    assert machine("service").run().text == "hello from /srv/web/current\n"


def test_options_override_the_image(machine) -> None:
    service = machine("service")
    result = service.run(
        *("--vm-entrypoint", "sh", "--vm-user", "0:29", "--vm-workdir", "/made", "--", "-c"),
        "id -u; id -g; id -G; pwd; stat -c %u .; echo $HOME",
    )
    assert result.text.split() == ["0", "29", "29", "/made", "0", "/root"]
    result = service.run("--vm-entrypoint=", "--vm-user", "4321", "sh", "-c", "id; echo $HOME")
    assert result.text.split() == ["uid=4321", "gid=0", "/"]
    result = service.run("--vm-entrypoint=", "--vm-user", "nobody-knows", "true")
    assert result.status == LAUNCHER_FAILURE and '"nobody-knows"' in result.complaint
    result = service.run("--vm-entrypoint=")
    assert result.status == LAUNCHER_FAILURE and "name one" in result.complaint


def test_working_directory_with_a_file_in_the_way(machine) -> None:
    result = machine("service").run("--vm-workdir", "/etc/passwd/x", "true")
    assert result.status == LAUNCHER_FAILURE
    wanted = 'working directory "/etc/passwd/x": "/etc/passwd": Not a directory'
    assert wanted in result.complaint


def test_directory_that_the_user_cannot_enter_is_where_it_begins(machine) -> None:
    """As under container engines."""
    result = machine("service").run("--vm-user", "4321", "--vm-workdir", "/var/data", "pwd; ls")
    assert result.text == "/var/data\n" and b"Permission denied" in result.stderr


def test_image_without_any_directory(machine) -> None:
    scratch = machine("scratch")
    assert scratch.run("pwd").text == "/made/for/it\n"
    assert scratch.run("id").text == "uid=4321 gid=0\n"
    assert scratch.run("env").text.splitlines()[-1] == "HOME=/"
    listed = scratch.run("find", "/etc", "/tmp", "/run", "-xdev").text.split()
    assert sorted(listed) == sorted(
        ["/etc", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/run", "/tmp"]
    )


def test_etc_that_is_a_link_is_left_alone(machine) -> None:
    script = "readlink /etc; ls /etc/; cat /etc/hosts; id -u; id -g; cd; pwd"
    result = machine("linked-etc").script(script)
    assert result.text.splitlines() == [
        *("usr/share/etc", "app", "group", "hosts", "passwd", "127.0.0.1 its-own", "77", "88"),
        "/",
    ]


def test_stop_signal_of_the_image_is_what_sigterm_becomes(machine) -> None:
    process = machine("service").start(TRAPPING)
    process.expect(b"ready\n")
    process.signal(signal.SIGUSR1)
    process.expect(b"got USR1\n")
    process.signal(signal.SIGTERM)
    assert process.expect_end() == b"got QUIT\n"
    assert process.wait() == 7


@pytest.mark.parametrize(("option", "got"), [("term", "TERM"), ("SIGUSR1", "USR1"), ("37", "37")])
def test_stop_signal_given(machine, option: str, got: str) -> None:
    process = machine("service").start("--vm-stop-signal", option, TRAPPING)
    process.expect(b"ready\n")
    process.signal(signal.SIGTERM)
    process.expect(f"got {got}\n".encode())


def test_stop_signal_three_times_ends_by_force(machine) -> None:
    process = machine("service").start("exec ignore-signals")
    process.expect(b"ready\n")
    for _ in range(3):
        process.signal(signal.SIGTERM)
        process.await_taken(signal.SIGTERM)
    assert process.wait() == 128 + signal.SIGTERM


def test_time_limit_asks_with_the_stop_signal(machine) -> None:
    result = machine("service").run("--vm-timeout", "6s", TRAPPING)
    assert (result.status, result.stdout) == (124, b"ready\ngot QUIT\n")


def test_info_shows_what_the_image_says(machine) -> None:
    result = machine("service").run("--vm-info")
    shown = set(result.text.splitlines())
    assert {
        *("volume=/srv/new", "volume=/var/data", "volume=/var/link", "stop-signal=3"),
        *("exposed-port=8080/tcp", "user=web", "workdir=/srv/web/current"),
        "label=org.example.title=a ?[31mservice",
    } <= shown
    assert {"healthcheck", "image", "image-digest"} <= {line.partition("=")[0] for line in shown}
