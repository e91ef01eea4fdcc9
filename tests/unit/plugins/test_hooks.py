from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from airflow.configuration import AIRFLOW_HOME

from ballast import hooks
from ballast.hooks import (
    AlpacaHook,
    CircleHook,
    ConnectionIncomplete,
    EvmHook,
    LedgerHook,
    missing_for_observing,
    open_book,
    open_venues,
)
from include.profiles import MAINNET, TESTNET
from include.settings import load_settings
from include.venues.alpaca import auth
from include.venues.alpaca import client as alpaca
from include.venues.cctp import attestation
from include.venues.errors import Refused, Unavailable
from include.venues.evm import web3signer
from include.venues.evm.transport import NodeProvider
from tests.support.kms import REGION, local_kms
from tests.unit.plugins.fakes import WALLET, settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEY = "0x998bd528edf3a7a14e193310099515b511f2ad21b0f49bbe9b9211ed2e33ce7a"  # of WALLET, for play money
OTHER = "0x16c132440b961597647606D4be8B666b3c5B1e9a"
ALPACA: dict[str, Any] = {"login": "KEYID", "password": "the-secret", "extra": {"account_id": "5f5a52a4"}}


@pytest.fixture
def give(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put a Connection into the environment, where Airflow looks first."""

    def put(conn_id: str, **values: Any) -> None:
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps({"conn_type": conn_id, **values}))

    return put


class Client:
    """Stands in for a client: remembers what it was made of, and whether it was closed."""

    made: ClassVar[list[Client]] = []

    def __init__(self, *given: Any) -> None:
        self.given = given
        self.closed = False
        self.made.append(self)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> list[Client]:
    """Replace the clients of Alpaca and Circle, and return those that are made."""
    Client.made.clear()
    monkeypatch.setattr(alpaca, "AlpacaBroker", Client)
    monkeypatch.setattr(attestation, "AttestationService", Client)
    return Client.made


@pytest.mark.parametrize(
    ("values", "url"),
    [
        ({}, MAINNET.alpaca_url),
        ({"host": "https://broker.test/"}, "https://broker.test"),
        ({"host": "broker.test"}, "https://broker.test"),
        ({"host": "127.0.0.1", "schema": "http", "port": 8080}, "http://127.0.0.1:8080"),
        ({"host": "http://127.0.0.1:9090", "port": 8080}, "http://127.0.0.1:9090"),
    ],
)
def test_url__is_what_the_connection_names_or_else_the_profiles(
    give: Callable[..., None], values: dict[str, Any], url: str
) -> None:
    give("alpaca", **ALPACA, **values)
    hook = AlpacaHook(profile=MAINNET)

    assert hook.url(hook.read(), MAINNET.alpaca_url) == url


def test_alpaca__key_pair__is_the_default(give: Callable[..., None], clients: list[Client]) -> None:
    give("alpaca", **ALPACA)

    AlpacaHook(profile=TESTNET).get_conn()

    url, account_id, proof = clients[0].given
    assert (url, account_id) == (TESTNET.alpaca_url, "5f5a52a4")
    assert repr(proof) == "KeyPairAuth(key_id='KEYID')"


@pytest.mark.parametrize(
    ("extra", "url"),
    [({}, MAINNET.alpaca_login_url), ({"token_url": "https://login.test/token"}, "https://login.test/token")],
)
def test_alpaca__client_credentials__ask_the_login_host(
    give: Callable[..., None], monkeypatch: pytest.MonkeyPatch, extra: dict[str, str], url: str
) -> None:
    give("alpaca", **ALPACA | {"extra": {**ALPACA["extra"], "auth": "client_credentials", **extra}})
    made: list[tuple[Any, ...]] = []
    monkeypatch.setattr(
        auth, "ClientCredentialsAuth", lambda *given, client_secret: made.append((*given, client_secret))
    )
    monkeypatch.setattr(alpaca, "AlpacaBroker", Client)

    AlpacaHook(profile=MAINNET).get_conn()

    assert made == [(url, "KEYID", "the-secret")]


@pytest.mark.parametrize(
    ("values", "lacks"),
    [
        ({**ALPACA, "login": ""}, "login"),
        ({**ALPACA, "password": "  "}, "password"),
        ({**ALPACA, "extra": {}}, "account_id"),
        ({**ALPACA, "extra": {"account_id": "x", "auth": "magic"}}, "auth is neither"),
        ({**ALPACA, "extra": {"account_id": "not an id"}}, "account_id"),
        ({**ALPACA, "password": "two words"}, "secret"),
    ],
)
def test_alpaca__incomplete__names_the_connection_and_what_it_lacks(
    give: Callable[..., None], values: dict[str, Any], lacks: str
) -> None:
    give("alpaca", **values)

    with pytest.raises(ConnectionIncomplete, match=f"'alpaca'.*{lacks}") as found:
        AlpacaHook(profile=MAINNET).get_conn()

    assert "two words" not in str(found.value)


@pytest.mark.parametrize("hook", [AlpacaHook, CircleHook, EvmHook, LedgerHook])
def test_connection_missing__is_an_error_that_names_it(hook: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(f"AIRFLOW_CONN_{hook.default_conn_name.upper()}", raising=False)

    with pytest.raises(ConnectionIncomplete, match=f"'{hook.default_conn_name}' is missing"):
        hook(profile=MAINNET).get_conn()


def test_circle__no_host__is_the_profiles(give: Callable[..., None], clients: list[Client]) -> None:
    give("circle")

    CircleHook(profile=TESTNET).get_conn()

    assert clients[0].given == (TESTNET.attestation_url,)


def test_wallet__key_of_the_stated_address__signs_for_it(give: Callable[..., None]) -> None:
    give("evm_wallet", login=WALLET.lower(), password=KEY)

    assert EvmHook().get_conn().address == WALLET


def test_wallet__key_of_another_address__names_both_and_not_the_key(give: Callable[..., None]) -> None:
    give("evm_wallet", login=OTHER, password=KEY)

    with pytest.raises(ConnectionIncomplete, match=f"'evm_wallet'.*{WALLET}.*{OTHER}") as found:
        EvmHook().get_conn()

    assert KEY.removeprefix("0x") not in str(found.value)


@pytest.mark.parametrize("key", ["", "0x12", "not a key at all"])
def test_wallet__no_usable_key__names_the_connection_and_not_the_key(
    give: Callable[..., None], key: str
) -> None:
    give("evm_wallet", password=key)

    with pytest.raises(ConnectionIncomplete, match="'evm_wallet'") as found:
        EvmHook().get_conn()

    assert not key or key not in str(found.value)


@pytest.mark.parametrize(
    ("values", "lacks"),
    [
        ({"extra": {"signer": "aws_kms"}}, "no key_id in its extra and no region in its extra"),
        ({"extra": {"signer": "aws_kms", "key_id": "alias/x"}}, "no region in its extra, which"),
        ({"extra": {"signer": "aws_kms", "key_id": "alias/x", "region": 7}}, "no region"),
        (
            {"extra": {"signer": "web3signer", "base_url": " "}},
            "no login .address. and no ethereum_url in its extra and no base_url in its extra",
        ),
        ({"extra": {"signer": KEY}}, "none of local, aws_kms, web3signer"),
        ({"extra": {"signer": ["local"]}}, "none of local, aws_kms, web3signer"),
        ({"extra": {"signer": "local"}}, "no password"),
        (
            {
                "login": WALLET,
                "extra": {
                    "signer": "web3signer",
                    "ethereum_url": f"http://{KEY}@signer.test",
                    "base_url": "http://signer.test",
                },
            },
            "URL of a signing service must not hold credentials",
        ),
        (
            {
                "extra": {
                    "signer": "aws_kms",
                    "key_id": "x",
                    "region": "eu-west-1",
                    "endpoint_url": f"https://{KEY}@kms.test",
                }
            },
            "endpoint_url must be",
        ),
    ],
)
def test_wallet__remote_signer_incomplete__names_all_that_is_missing_and_no_secret(
    give: Callable[..., None], values: dict[str, Any], lacks: str
) -> None:
    give("evm_wallet", **values)

    with pytest.raises(ConnectionIncomplete, match=f"'evm_wallet'.*{lacks}") as found:
        EvmHook(profile=MAINNET).get_conn()

    assert KEY[2:] not in str(found.value)


def kms_connection(key_id: str, **values: Any) -> dict[str, Any]:
    return {"extra": {"signer": "aws_kms", "key_id": key_id, "region": REGION}, **values}


def test_wallet__key_in_aws__signs_for_the_address_of_that_key(give: Callable[..., None]) -> None:
    with local_kms() as kms:
        key_id = kms.key()
        give("evm_wallet", **kms_connection(key_id))
        signer = EvmHook().get_conn()
        give("evm_wallet", **kms_connection(key_id, login=signer.address.lower()))

        assert EvmHook().get_conn().address == signer.address
        assert EvmHook().test_connection() == (True, f"the key is that of {signer.address}")


def test_wallet__key_in_aws_of_another_address__names_both(give: Callable[..., None]) -> None:
    with local_kms() as kms:
        give("evm_wallet", **kms_connection(kms.key(), login=OTHER))
        with pytest.raises(ConnectionIncomplete, match=f"its key is that of 0x.*, its login says {OTHER}"):
            EvmHook().get_conn()


def test_wallet__aws_refuses__is_an_error_of_the_connection(give: Callable[..., None]) -> None:
    with local_kms():
        give("evm_wallet", **kms_connection("1234abcd-12ab-34cd-56ef-1234567890ab"))
        with pytest.raises(ConnectionIncomplete, match=r"'evm_wallet': AWS KMS refused.*NotFoundException"):
            EvmHook().get_conn()


def test_wallet__key_in_aws_without_boto3__names_the_package(
    give: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "boto3.session", None)
    give("evm_wallet", **kms_connection("alias/x"))

    with pytest.raises(ConnectionIncomplete, match=r"'evm_wallet'.*needs the Python package boto3"):
        EvmHook().get_conn()


def test_wallet__password_beside_a_remote_signer__is_warned_of_and_not_shown(
    give: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    with local_kms() as kms, caplog.at_level(logging.WARNING, logger="ballast.hooks"):
        give("evm_wallet", **kms_connection(kms.key(), password=KEY))
        signer = EvmHook().get_conn()

    assert signer.address != WALLET
    assert "'evm_wallet' has a password, which its signer aws_kms does not use" in caplog.text
    assert KEY[2:] not in caplog.text


def test_wallet__web3signer__is_asked_for_both_chains_whose_keys_it_has(
    give: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made: list[tuple[Any, ...]] = []

    class Service:
        def __init__(self, urls: dict[int, str], address: str, **files: str | None) -> None:
            self.address = address
            made.append((urls, address, files))

        def verify(self) -> None:
            made.append(("verified",))

    monkeypatch.setattr(web3signer, "Web3Signer", Service)
    extra = {
        "signer": "web3signer",
        "ethereum_url": "https://ethereum-signer.test",
        "base_url": "https://base-signer.test",
        "ca_file": "/certs/ca.pem",
        "client_certificate": "",
    }
    give("evm_wallet", login=WALLET, extra=extra)

    for profile in (MAINNET, TESTNET):
        assert EvmHook(profile=profile).get_conn().address == WALLET

    files = {"ca_file": "/certs/ca.pem", "client_certificate": None}
    urls = ("https://ethereum-signer.test", "https://base-signer.test")
    assert made == [
        (dict(zip((1, 8453), urls, strict=True)), WALLET, files),
        ("verified",),
        (dict(zip((11155111, 84532), urls, strict=True)), WALLET, files),
        ("verified",),
    ]


@pytest.mark.parametrize(
    ("error", "raised"), [(Refused("holds no key"), ConnectionIncomplete), (Unavailable("away"), Unavailable)]
)
def test_wallet__web3signer_refuses_or_is_away__are_told_apart(
    give: Callable[..., None], monkeypatch: pytest.MonkeyPatch, error: Exception, raised: type[Exception]
) -> None:
    def verify(_: Any) -> None:
        raise error

    monkeypatch.setattr(web3signer.Web3Signer, "verify", verify)
    urls = {"ethereum_url": "http://signer.test:9000", "base_url": "http://signer.test:9001"}
    give("evm_wallet", login=WALLET, extra={"signer": "web3signer", **urls})

    with pytest.raises(raised, match=str(error)):
        EvmHook(profile=MAINNET).get_conn()


def test_book__key_is_not_the_wallets__names_both(give: Callable[..., None]) -> None:
    give("evm_wallet", password=KEY)

    with (
        pytest.raises(ConnectionIncomplete, match=f"'evm_wallet' is that of {WALLET}.*wallet is {OTHER}"),
        open_book(settings(wallet=OTHER)),
    ):
        pass


@pytest.mark.parametrize(
    ("values", "url"),
    [
        ({"conn_type": "sqlite", "host": "/var/ledger.db"}, "sqlite:////var/ledger.db"),
        ({"conn_type": "sqlite", "host": "ledger.db"}, f"sqlite:///{AIRFLOW_HOME}/ledger.db"),
        (
            {
                "conn_type": "postgres",
                "host": "db.test",
                "port": 5433,
                "login": "me",
                "password": "p@ss/word",
                "schema": "ledger",
                "extra": {"sslmode": "require"},
            },
            "postgresql+psycopg://me:p%40ss%2Fword@db.test:5433/ledger?sslmode=require",
        ),
    ],
    ids=["absolute path", "path beside Airflow's", "server"],
)
def test_ledger__url(give: Callable[..., None], values: dict[str, Any], url: str) -> None:
    give("rebalancing_ledger", **values)

    assert LedgerHook().database_url() == url


@pytest.mark.parametrize(
    ("values", "lacks"),
    [
        ({"conn_type": "sqlite"}, "path of the SQLite file"),
        ({"conn_type": "postgres", "host": "db.test"}, "schema"),
        ({"conn_type": "mysql", "host": "db.test"}, "expected sqlite or postgres"),
    ],
)
def test_ledger__incomplete__is_named_and_never_replaced_by_an_empty_one(
    give: Callable[..., None], values: dict[str, Any], lacks: str
) -> None:
    give("rebalancing_ledger", **values)

    with pytest.raises(ConnectionIncomplete, match=f"'rebalancing_ledger'.*{lacks}"):
        LedgerHook().get_conn()


def test_ledger__sqlite__opens(give: Callable[..., None], tmp_path: Path) -> None:
    give("rebalancing_ledger", conn_type="sqlite", host=str(tmp_path / "ledger.db"))

    with hooks.open_ledger(settings()) as ledger:
        assert ledger.operations() == []
    assert LedgerHook().test_connection() == (True, "0 operations are open")


def test_ledger__of_another_wallet__is_refused_to_who_moves_and_who_looks(
    give: Callable[..., None], tmp_path: Path
) -> None:
    """Two Connections of two books can lead to one database, which their settings cannot show."""
    for conn_id in ("rebalancing_ledger", "rebalancing_ledger_fund"):
        give(conn_id, conn_type="sqlite", host=str(tmp_path / "ledger.db"))
    live = {"rebalancing_enabled": "true", "redemption_wallet": "0x" + "33" * 20}
    other = "0x" + "44" * 20
    with hooks.open_ledger(settings(wallet=other)), hooks.open_ledger(settings()):
        pass  # who only looks does not make it his
    with hooks.open_ledger(settings(**live)), hooks.open_ledger(settings()):
        pass

    for values in (live, {}):
        fund = settings(book="fund", **{**values, "wallet": other})
        refused = r"'rebalancing_ledger_fund': the ledger is that of the wallet .* \(book default\)"
        with pytest.raises(ConnectionIncomplete, match=refused), hooks.open_ledger(fund):
            pytest.fail("it was opened")


def test_venues__opened__nothing_is_asked_and_everything_is_closed(
    give: Callable[..., None], clients: list[Client]
) -> None:
    give("alpaca", **ALPACA)
    give("circle")

    for _ in range(2):
        with open_venues(settings()) as venues:  # no socket can be opened here
            assert (venues.ethereum.chain_id, venues.base.chain_id) == (1, 8453)

    assert len(clients) == 4
    assert all(client.closed for client in clients)


def test_venues__endpoint_of_another_chain__is_found_out_before_it_is_believed(
    give: Callable[..., None], monkeypatch: pytest.MonkeyPatch, clients: list[Client]
) -> None:
    give("alpaca", **ALPACA)
    give("circle")
    asked: list[str] = []

    def answer(_node: NodeProvider, method: str, _params: object) -> object:
        asked.append(method)
        return {"result": "0x5"}

    monkeypatch.setattr(NodeProvider, "make_request", answer)

    for _ in range(2):
        with open_venues(settings()) as venues, pytest.raises(Unavailable, match="is chain 5, expected 8453"):
            venues.base.head()

    assert asked == ["eth_chainId", "eth_chainId"]
    assert all(client.closed for client in clients)


def test_missing_for_observing__names_what_is_not_set() -> None:
    assert missing_for_observing(load_settings(environ={})) == ["wallet", "ethereum_rpc_url", "base_rpc_url"]
    assert missing_for_observing(settings()) == []


def test_test_connection__says_what_is_wrong(give: Callable[..., None]) -> None:
    give("evm_wallet", password="0x12")

    worked, message = EvmHook().test_connection()

    assert not worked
    assert "'evm_wallet'" in message
