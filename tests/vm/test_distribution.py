"""Images of distribution packages, as they were pulled from a registry."""

import json

import pytest
from machine import Machine

# Answers its own request, and ends.
EXPRESS = """
const express = require('express'), http = require('http'), app = express();
app.get('/', (request, response) => response.json({ version: process.versions.node }));
const server = app.listen(0, '127.0.0.1', () =>
    http.get({ host: '127.0.0.1', port: server.address().port }, (response) => {
        response.pipe(process.stdout);
        response.on('end', () => server.close());
    }));
"""


@pytest.fixture
def distribution(machine):
    """One of the images by name."""
    return lambda name: machine(f"distribution/{name}")


def test_slim_debian(distribution) -> None:
    slim: Machine = distribution("slim")
    result = slim.run("bash", "-c", ". /etc/os-release; echo $ID $VERSION_ID; dpkg --audit")
    assert result.text == "debian 12\n", result.stderr
    packages = slim.run("dpkg-query", "--show", "--showformat", "${Package}\n").text.split()
    assert {"apt", "bash", "libc6"} < set(packages)


def test_the_images_command_reads_a_program(distribution) -> None:
    result = distribution("python").run(input=b"print(6 * 7)\n")
    assert (result.status, result.text) == (0, "42\n"), result.stderr


def test_python_with_packages_of_the_distribution_and_of_pip(distribution) -> None:
    program = (
        "import json, numpy, requests, six\n"
        "print(json.dumps([int(numpy.arange(5).sum()), six.__version__, requests.__name__]))\n"
    )
    result = distribution("python").run("python3", "-c", program)
    assert result.status == 0, result.stderr
    assert json.loads(result.text) == [10, "1.17.0", "requests"]


def test_node_serves_itself(distribution) -> None:
    result = distribution("node").run("node", "-e", EXPRESS)
    assert result.status == 0, result.stderr
    assert json.loads(result.text)["version"].startswith("18.")
