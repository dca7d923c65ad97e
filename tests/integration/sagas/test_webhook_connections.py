"""A webhook goes to the very address that its name was resolved to, and to nobody who can't prove to have that name."""

import socket
import ssl
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sagas.webhooks import sending
from tests.integration.receiver import Receiver

NAME = "hooks.example"
real = socket.getaddrinfo


@pytest.fixture
def names(monkeypatch):
    """A name server: by name, the addresses that it answers in turn. Notes which it was asked for."""
    known: Any = {}
    asked: list[str] = []

    def answer(host, port, *args, **kwargs):
        if host not in known:
            return real(host, port, *args, **kwargs)
        asked.append(host)
        address = known[host].pop(0) if len(known[host]) > 1 else known[host][0]
        return real(address, port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    known["asked"] = asked
    return known


@contextmanager
def certified(receiver, name, folder):
    """Lets it speak TLS, with a certificate for a name; yields the file that says whom to trust."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    clear = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, clear)
    file = folder / f"{name}.pem"
    file.write_bytes(pem + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    receiver.speak_tls(context)
    with receiver.running():
        yield file


def test_a_name_is_resolved_once_and_that_address_is_connected_to(names, settings):
    settings.WEBHOOKS_TO_PRIVATE_ADDRESSES = True
    names["rebound.example"] = ["127.0.0.1", "127.0.0.2"]
    with Receiver().running() as receiver:
        answer = sending.post(f"http://rebound.example:{receiver.port}/hook?a=b", b"{}", {})
    assert answer.code == 200, answer
    assert names["asked"] == ["rebound.example"]
    (one,) = receiver.received
    assert (one.path, one.headers["Host"]) == ("/hook?a=b", f"rebound.example:{receiver.port}")


def test_a_name_that_leads_to_a_private_address_is_refused_after_it_was_resolved(names):
    names[NAME] = ["127.0.0.1"]
    with Receiver().running() as receiver:
        answer = sending.post(f"https://{NAME}:{receiver.port}/hook", b"{}", {})
        assert (answer.code, answer.error) == (None, "This is no public address.")
        assert sending.post(f"https://127.0.0.1:{receiver.port}/", b"{}", {}).error == "This is no public address."
        assert "https://" in sending.post(receiver.url, b"{}", {}).error
    assert receiver.received == []


def test_a_certificate_has_to_be_that_of_the_name(names, settings, tmp_path, monkeypatch):
    settings.WEBHOOKS_TO_PRIVATE_ADDRESSES = True
    names[NAME] = names["other.example"] = ["127.0.0.1"]
    receiver = Receiver()
    with certified(receiver, NAME, tmp_path) as file:
        url = f"https://{NAME}:{receiver.port}/"
        assert "certificate" in sending.post(url, b"{}", {}).error
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        answer = sending.post(url, b"{}", {})
        assert answer.code == 200, answer
        other = sending.post(f"https://other.example:{receiver.port}/", b"{}", {})
        assert "certificate" in other.error
    assert len(receiver.received) == 1


def test_nobody_at_home_and_no_such_name(settings):
    settings.WEBHOOKS_TO_PRIVATE_ADDRESSES = True
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/"
        assert sending.post(url, b"{}", {}).error == "ConnectionRefusedError: Connection refused"
    assert sending.post("http://nobody.invalid/", b"{}", {}).error == "Its name has no address."
