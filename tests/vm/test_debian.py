"""Ordinary software on a Debian root."""

import subprocess

from machine import Machine


def test_python_computes_with_threads(debian: Machine) -> None:
    program = (
        "import sys, threading, hashlib, json\n"
        "results = []\n"
        "def work(n): results.append(hashlib.sha256(b'x' * n).hexdigest())\n"
        "threads = [threading.Thread(target=work, args=(n,)) for n in range(64)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n"
        "print(json.dumps([len(results), sys.argv[1:]]))\n"
    )
    result = debian.run("python3", "-c", program, "an argument")
    assert (result.status, result.stdout) == (0, b'[64, ["an argument"]]\n'), result.stderr


def test_python_raises_to_the_outside(debian: Machine) -> None:
    result = debian.run("python3", "-c", "raise SystemExit('no good')")
    assert (result.status, result.stderr) == (1, b"no good\n")


def test_sqlite_reports_over_a_table_piped_in(debian: Machine) -> None:
    rows = "".join(f"{day % 7},{day * 3}\n" for day in range(1000))
    result = debian.run(
        *("sqlite3", "-batch", ":memory:", "CREATE TABLE sales(day INTEGER, amount INTEGER)"),
        *(
            ".import --csv /dev/stdin sales",
            "SELECT day, sum(amount) FROM sales GROUP BY day LIMIT 2",
        ),
        input=rows.encode(),
    )
    expected = [sum(3 * n for n in range(1000) if n % 7 == day) for day in range(2)]
    assert result.text == f"0|{expected[0]}\n1|{expected[1]}\n", result.stderr


def test_git_keeps_a_history(debian: Machine) -> None:
    script = """
    set -e
    export GIT_AUTHOR_NAME=me GIT_AUTHOR_EMAIL=me@example.org
    export GIT_COMMITTER_NAME=me GIT_COMMITTER_EMAIL=me@example.org
    git init -q /src && cd /src
    for n in 1 2 3; do echo $n >file; git add file; git commit -q -m "change $n"; done
    git log --format=%s
    git fsck --strict
    git show HEAD~1:file
    """
    result = debian.script(script)
    assert result.status == 0, result.stderr
    assert result.text == "change 3\nchange 2\nchange 1\n2\n"


THREADS = """
#include <pthread.h>
#include <stdio.h>
static void *add(void *sum) { __atomic_fetch_add((int *)sum, 1, __ATOMIC_SEQ_CST); return sum; }
int main(void)
{
	pthread_t threads[64];
	int sum = 0;

	for (int i = 0; i < 64; i++)
		if (pthread_create(&threads[i], NULL, add, &sum))
			return 1;
	for (int i = 0; i < 64; i++)
		pthread_join(threads[i], NULL);
	printf("%d\\n", sum);
	return 64 - sum + 5;
}
"""


def test_c_program_with_64_threads_is_compiled_and_run(debian: Machine) -> None:
    result = debian.script(
        "gcc -O2 -x c - -o /tmp/threads -pthread && exec /tmp/threads", input=THREADS.encode()
    )
    assert (result.status, result.stdout) == (5, b"64\n"), result.stderr


def test_compiled_program_leaves_as_a_result_on_the_host(debian: Machine, tmp_path) -> None:
    """A compiler in a machine, used as a filter: source in, program out."""
    source = b'#include <stdio.h>\nint main(void) { puts("made inside"); return 0; }\n'
    result = debian.script("gcc -x c - -o /tmp/program && cat /tmp/program", input=source)
    assert result.status == 0, result.stderr
    program = tmp_path / "program"
    program.write_bytes(result.stdout)
    program.chmod(0o755)
    assert subprocess.run([program], capture_output=True, check=True).stdout == b"made inside\n"
