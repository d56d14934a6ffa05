"""The process that Terraform starts: handshake, encryption, and an end when Terraform ends.

Terraform and its plugins agree on a line on standard output: protocol versions, address, transport,
and the certificate of this process in base64. The socket lies in a folder that only this user can
enter.
"""

# The generated stubs and grpc carry no types.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import base64
import datetime
import os
import shutil
import signal
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from google.protobuf import empty_pb2  # type: ignore[import-untyped]
from tf.gen import grpc_controller_pb2_grpc as controller
from tf.gen import tfplugin_pb2_grpc as plugin

from .rpc import Provider

_COOKIE = "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2"
_MAX_MESSAGE = 64 << 20
_PARENT_CHECK_S = 0.5


class _Controller(controller.GRPCControllerServicer):
    def __init__(self, ended: threading.Event) -> None:
        self._ended = ended

    def Shutdown(self, request: Any, context: Any) -> Any:  # noqa: N802  the protocol's name
        self._ended.set()
        return empty_pb2.Empty()


def serve() -> int:
    """Serve until Terraform says goodbye or is gone; the exit code of the process."""
    if os.environ.get("TF_PLUGIN_MAGIC_COOKIE") != _COOKIE:
        sys.stderr.write("This is a Terraform provider: Terraform starts it, people do not.\n")
        return 1
    # Ctrl-C reaches the whole group; Terraform then says StopProvider, and waits for the state.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent, stop, ended = os.getppid(), threading.Event(), threading.Event()

    def end(*_: object) -> None:
        stop.set()
        ended.set()

    signal.signal(signal.SIGTERM, end)
    folder = tempfile.mkdtemp(prefix="tf-provider-")
    server = grpc.server(
        ThreadPoolExecutor(max_workers=32),
        options=[
            ("grpc.max_receive_message_length", _MAX_MESSAGE),
            ("grpc.max_send_message_length", _MAX_MESSAGE),
        ],
    )
    plugin.add_ProviderServicer_to_server(Provider(stop), server)
    controller.add_GRPCControllerServicer_to_server(_Controller(ended), server)
    try:
        address = f"unix:{folder}/plugin"
        certificate = _listen(server, address)
        server.start()
        sys.stdout.write(f"1|6|unix|{folder}/plugin|grpc|{certificate}\n")
        sys.stdout.flush()
        while not ended.wait(_PARENT_CHECK_S):
            if os.getppid() != parent:
                stop.set()
                break
        server.stop(grace=1).wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _listen(server: grpc.Server, address: str) -> str:
    """Open the socket, encrypted if Terraform asks for it; our certificate or nothing."""
    if not os.environ.get("PLUGIN_CLIENT_CERT"):
        server.add_insecure_port(address)
        return ""
    key, certificate = _certificate()
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    credentials = grpc.ssl_server_credentials([(private, certificate.public_bytes(pem))])
    server.add_secure_port(address, credentials)
    der = certificate.public_bytes(serialization.Encoding.DER)
    return base64.b64encode(der).decode().rstrip("=")


def _certificate() -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """Make a key and a certificate for this process, valid for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    return key, builder.sign(key, hashes.SHA256())
