"""The process: starting, serving, ending."""

import http.client
import ipaddress
import signal
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
import requests
from conftest import allow, start
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def ended(process):
    """What the process still said when it ended by itself."""
    out, complaints = process.communicate(timeout=10)
    return process.returncode, out, complaints


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_quietly_and_frees_the_port(number):
    process, url = start()
    idle = http.client.HTTPConnection(urlsplit(url).netloc)
    idle.request("GET", "/_strict/health")
    idle.getresponse().read()
    process.send_signal(number)
    process.wait(timeout=10)
    port = urlsplit(url).port
    with socket.create_server(("127.0.0.1", port)):
        pass
    assert ended(process) == (0, "", "")


def test_it_ends_with_the_runner_that_started_it():
    process, _ = start()
    process.stdin.close()
    process.stdin = None
    assert ended(process) == (0, "", "")


def test_the_ready_file_tells_the_address(tmp_path):
    ready = tmp_path / "ready"
    process, url = start("--ready-file", str(ready))
    process.terminate()
    ended(process)
    assert ready.read_text() == f"{url}\n"


def test_a_port_in_use_is_an_error():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AssertionError):
            start("--port", str(port))


def test_connections_are_kept_alive(stand):
    connection = http.client.HTTPConnection(urlsplit(stand.url).netloc)
    sockets = set()
    for _ in range(3):
        connection.request("GET", "/_strict/health")
        connection.getresponse().read()
        sockets.add(connection.sock)
    assert len(sockets) == 1
    connection.close()


def test_calls_of_several_threads_do_not_disturb_each_other(stand):
    key = stand.user("deploy", allow("*"))
    failures = []

    def work(number):
        try:
            iam = stand.client("iam", key)
            for round_ in range(5):
                name = f"user-{number}-{round_}"
                iam.create_user(UserName=name)
                iam.create_access_key(UserName=name)
        except Exception as problem:
            failures.append(problem)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(stand.client("iam").list_users()["Users"]) == 21


def test_a_slow_call_holds_up_nobody_else(stand):
    stand.user("deploy")
    stand.fault("ListUsers", "delay", seconds=1)
    iam = stand.client("iam")
    slow = threading.Thread(target=iam.list_users)
    slow.start()
    requests.get(f"{stand.url}/_strict/health", timeout=0.5)
    slow.join()


def test_it_speaks_tls(tmp_path):
    certificate, key = self_signed(tmp_path)
    process, url = start("--tls-cert", str(certificate), "--tls-key", str(key))
    try:
        assert url.startswith("https://")
        answer = requests.get(
            f"{url}/_strict/health", verify=str(certificate), timeout=10
        )
        assert answer.json()["status"] == "ok"
        silent = socket.create_connection((urlsplit(url).hostname, urlsplit(url).port))
        requests.get(f"{url}/_strict/health", verify=str(certificate), timeout=2)
        silent.close()
        with pytest.raises((ssl.SSLError, requests.exceptions.SSLError)):
            requests.get(f"{url}/_strict/health", timeout=10)
    finally:
        process.terminate()
    assert ended(process) == (0, "", "")


def self_signed(folder):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file = folder / "certificate.pem"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file = folder / "key.pem"
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate_file, key_file


def test_a_mistyped_control_request_is_refused(stand):
    def status(path, **body):
        answer = requests.post(f"{stand.url}/_strict/{path}", json=body, timeout=10)
        return answer.status_code

    assert status("clock", advanse=5) == 400
    assert status("clock", advance="5") == 400
    assert status("keys", user="nobody") == 404
    assert status("kyes", user="nobody") == 404
