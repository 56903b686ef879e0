"""The block `providers` of prodsprints.yaml: what it takes, and what it refuses in words."""

from __future__ import annotations

import pytest

from prodsprints.release.config import ConfigError, parse, render
from prodsprints.release.config.schema import Aws, Providers, ReleaseConfig

STATED = """version: 1
providers:
  aws:
    account: "123456789012"
    region: eu-central-1
environments:
  staging:
    providers:
      aws:
        account: "210987654321"
"""


def test_each_environment_may_be_another_account() -> None:
    config = parse(STATED)
    assert config.for_environment("staging").providers.aws == Aws(account="210987654321", region="eu-central-1")
    assert config.for_environment("production").providers.aws == Aws(account="123456789012", region="eu-central-1")


def test_without_the_block_there_is_no_provider_and_nothing_is_shown_of_it() -> None:
    config = parse("version: 1\n")
    assert config.for_environment().providers.aws is None
    assert not [setting for setting in config.effective() if setting.key.startswith("providers")]


def test_every_value_is_shown_with_its_line() -> None:
    shown = [str(setting) for setting in parse(STATED).effective("staging") if setting.key.startswith("providers")]
    assert shown == [
        "providers.aws.account: 210987654321  (prodsprints.yaml:10 in environments.staging)",
        "providers.aws.region: eu-central-1  (prodsprints.yaml:5)",
    ]


def test_a_written_block_reads_back() -> None:
    aws = Aws(account="012345678901", region="us-gov-west-1", addresses=("192.0.2.1", "2001:db8::1"))
    config = ReleaseConfig(providers=Providers(aws=aws))
    assert parse(render(config)).for_environment() == config


@pytest.mark.parametrize(
    ("aws", "said"),
    [
        ("{account: 123456789012, region: eu-central-1}", "`providers.aws.account` is a number; it should be text"),
        ("{account: '1234', region: eu-central-1}", "`providers.aws.account`"),
        ("{account: '123456789012'}", "`providers.aws.region` is missing"),
        ("{account: '123456789012', region: Frankfurt}", "`providers.aws.region`"),
        ("{account: '123456789012', region: eu-central-1, addresses: []}", "`providers.aws.addresses`"),
        ("{account: '123456789012', region: eu-central-1, addresses: [sts]}", "should be an IP address"),
        ("{account: '123456789012', region: eu-central-1, endpoint: file:///etc}", "`providers.aws.endpoint`"),
        (
            "{account: '123456789012', region: eu-central-1, endpoint: 'http://[::1]:5000', addresses: [192.0.2.1]}",
            "without TLS",
        ),
        ("{account: '123456789012', region: eu-central-1, secret: x}", "unknown key `providers.aws.secret`"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_line(aws: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f"version: 1\nproviders:\n  aws: {aws}\n")
    assert said in caught.value.what and "prodsprints.yaml:3" in caught.value.what
