"""The host's policy: read strictly, both sources apply, nothing is taken back."""

import re
from pathlib import Path

import pytest

from smolpack import doctor, policy
from smolpack.errors import PolicyError, VerifyError
from support import FixedSigner

ONE, OTHER = (FixedSigner(number).public_key for number in (1, 2))


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    return tmp_path / "policy.toml"


def allows(rules: policy.Policy, *fingerprints: str) -> bool:
    try:
        rules.check(fingerprints)
    except VerifyError:
        return False
    return True


def test_without_a_policy_everything_runs(path: Path) -> None:
    rules = policy.load(path, {})
    assert allows(rules) and allows(rules, ONE.fingerprint)
    assert str(rules).startswith("unsigned files run")


@pytest.mark.parametrize(
    ("text", "environment"),
    [
        ("require-signature = true # yes\n", {}),
        ("", {"SMOLPACK_REQUIRE_SIGNATURE": "1"}),
        ("require-signature = true", {"SMOLPACK_REQUIRE_SIGNATURE": "0"}),
        ("require-signature = false", {"SMOLPACK_REQUIRE_SIGNATURE": "1"}),
    ],
)
def test_a_signature_is_required(text: str, environment: dict[str, str], path: Path) -> None:
    path.write_text(text)
    rules = policy.load(path, environment)
    assert not allows(rules) and allows(rules, OTHER.fingerprint)


@pytest.mark.parametrize("signer", [ONE.fingerprint, ONE.line, f"{ONE.line} a comment"])
def test_only_some_signers(signer: str, path: Path) -> None:
    path.write_text(f'signers = [\n  "{signer}", # us\n]\n')
    rules = policy.load(path, {})
    assert allows(rules, ONE.fingerprint) and allows(rules, OTHER.fingerprint, ONE.fingerprint)
    assert not allows(rules) and not allows(rules, OTHER.fingerprint)


def test_file_and_environment_both_apply(path: Path) -> None:
    path.write_text(f'signers = ["{ONE.fingerprint}"]\n')
    rules = policy.load(path, {"SMOLPACK_SIGNERS": f"{OTHER.fingerprint}, {OTHER.fingerprint}"})
    assert not allows(rules, ONE.fingerprint) and not allows(rules, OTHER.fingerprint)
    assert allows(rules, OTHER.fingerprint, ONE.fingerprint)
    assert str(rules) == (
        f"a signature is required, by one of 1 in {path} and one of 1 in SMOLPACK_SIGNERS"
    )


BAD = {
    "require-signature = 1": "true or false",
    'require-signature = "yes"': "true or false",
    "require_signature = true": "'require_signature' is not known",
    'signers = "SHA256:x"': "array of strings",
    "signers = [1]": "array of strings",
    "signers = []": "names nobody",
    'signers = ["SHA256:x"]': "neither a fingerprint",
    'signers = ["ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAAQA="]': "neither a fingerprint",
    'signers = ["ssh-ed25519 AAAA"]': "neither a fingerprint",
    "not toml": "policy.toml: ",
    "# \xff": "policy.toml: ",
    "#" * (64 << 10) + "#": "has more than",
}


@pytest.mark.parametrize("text", BAD, ids=[text[:30] for text in BAD])
def test_what_is_not_understood_allows_nothing(text: str, path: Path) -> None:
    path.write_text(text, encoding="latin-1")
    with pytest.raises(PolicyError, match=re.escape(BAD[text])):
        policy.load(path, {})


@pytest.mark.parametrize(
    "environment",
    [
        {"SMOLPACK_REQUIRE_SIGNATURE": "yes"},
        {"SMOLPACK_SIGNERS": "alice"},
        {"SMOLPACK_SIGNERS": " , "},
    ],
)
def test_nor_does_a_bad_environment(environment: dict[str, str], path: Path) -> None:
    with pytest.raises(PolicyError, match="SMOLPACK_"):
        policy.load(path, environment)


def test_a_policy_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="Is a directory"):
        policy.load(tmp_path, {})


def test_doctor_shows_the_policy(path: Path, with_assets: Path) -> None:
    path.write_text(f'signers = ["{ONE.fingerprint}"]\n')
    shown = doctor.as_text(doctor.diagnose(policy_file=path))
    assert f"ok  policy: a signature is required, by one of 1 in {path}" in shown
    path.write_text("nonsense")
    found = doctor.diagnose(policy_file=path)
    assert f"no  policy: {path}: " in doctor.as_text(found)
    assert found.accelerator is None and not found.healthy
