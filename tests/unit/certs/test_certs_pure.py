"""The CA, the leaf and the bundle: values only."""

from datetime import datetime, timedelta
from ipaddress import ip_address

import pytest
from certs_fakes import NOW
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from hypothesis import given
from hypothesis import strategies as st

from certs import authority as authorities
from certs import bundle, leaf
from certs.authority import Authority, BadAuthorityError
from certs.leaf import Leaf, Subject

SERVICE = Subject.of_service("slipway-webhook", "slipway-system")


def verify(
    issued: Leaf,
    trusted: Authority,
    name: x509.DNSName | x509.IPAddress,
    when: datetime = NOW,
) -> None:
    """Check the chain, the names and the dates as a TLS client would."""
    store = Store([trusted.certificate])
    PolicyBuilder().store(store).time(when).build_server_verifier(name).verify(
        issued.certificate, []
    )


def test_a_leaf_is_accepted_under_the_name_by_which_the_api_server_calls() -> None:
    """The chain, the names, the dates and the key usages satisfy a strict verifier."""
    ca = Authority.create(NOW)
    verify(leaf.issue(ca, SERVICE, NOW), ca, x509.DNSName("slipway-webhook.slipway-system.svc"))


def test_a_leaf_for_a_url_is_accepted_under_its_address() -> None:
    """Out of cluster the API server calls an IP address."""
    ca = Authority.create(NOW)
    address = ip_address("10.244.0.7")
    verify(leaf.issue(ca, Subject(ips=(address,)), NOW), ca, x509.IPAddress(address))


@pytest.mark.parametrize(
    ("name", "late"), [("other.svc", timedelta()), ("slipway-webhook", timedelta(days=7, hours=1))]
)
def test_a_leaf_is_refused_under_another_name_and_after_its_week(
    name: str, late: timedelta
) -> None:
    """The verifier used here can say no."""
    ca = Authority.create(NOW)
    with pytest.raises(VerificationError):
        verify(leaf.issue(ca, SERVICE, NOW), ca, x509.DNSName(name), NOW + late)


def test_a_leaf_of_another_ca_is_refused() -> None:
    """Two CAs of Slipway are not confused with each other."""
    ours, theirs = Authority.create(NOW), Authority.create(NOW)
    issued = leaf.issue(theirs, SERVICE, NOW)
    assert not issued.signed_by(ours)
    assert issued.signed_by(theirs)
    with pytest.raises(VerificationError):
        verify(issued, ours, x509.DNSName("slipway-webhook"))


def test_certificates_are_valid_for_a_client_whose_clock_is_an_hour_behind() -> None:
    """Both CA and leaf start an hour ago."""
    ca = Authority.create(NOW)
    issued = leaf.issue(ca, SERVICE, NOW)
    early = NOW - timedelta(minutes=59)
    verify(issued, ca, x509.DNSName("slipway-webhook"), early)
    assert ca.certificate.not_valid_before_utc == issued.certificate.not_valid_before_utc


def test_a_ca_lives_a_year_and_may_not_sign_other_cas() -> None:
    """Its power is no larger than its use."""
    certificate = Authority.create(NOW).certificate
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (
        True,
        True,
        0,
    )
    assert certificate.not_valid_after_utc - NOW == timedelta(days=365)


def test_no_two_certificates_share_a_serial_number() -> None:
    """Serials are random, for CAs and for leaves."""
    cas = [Authority.create(NOW) for _ in range(5)]
    leaves = [leaf.issue(cas[0], SERVICE, NOW) for _ in range(5)]
    certificates = [ca.certificate for ca in cas] + [each.certificate for each in leaves]
    assert len({each.serial_number for each in certificates}) == 10


def test_a_leaf_never_outlives_its_ca() -> None:
    """A chain that is half expired would be served otherwise."""
    ca = Authority.create(NOW)
    end = ca.certificate.not_valid_after_utc
    assert leaf.issue(ca, SERVICE, end - timedelta(days=2)).not_after == end


def test_a_ca_is_replaced_while_it_can_still_sign_full_weeks() -> None:
    """The last month of a CA is for the change to the next one."""
    ca = Authority.create(NOW)
    assert ca.usable(NOW)
    assert not ca.usable(NOW - timedelta(hours=2))
    assert not ca.usable(NOW + timedelta(days=336))
    assert authorities.RENEW_BEFORE > leaf.LIFE


def test_a_ca_survives_being_stored() -> None:
    """What is read back signs as before."""
    ca = Authority.create(NOW)
    again = Authority.load(ca.certificate_pem, ca.key_pem)
    verify(leaf.issue(again, SERVICE, NOW), ca, x509.DNSName("slipway-webhook"))


def test_a_key_is_not_shown_by_accident() -> None:
    """A CA or leaf in a log line carries no key."""
    ca = Authority.create(NOW)
    assert "key=" not in repr(ca)
    assert "key=" not in repr(leaf.issue(ca, SERVICE, NOW))


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def test_stored_bytes_that_are_no_ca_are_refused_with_the_reason() -> None:
    """Garbage, a stranger's key, a key of another kind, a leaf in the CA's place."""
    ca = Authority.create(NOW)
    issued = leaf.issue(ca, SERVICE, NOW)
    bad = {
        "PEM": (b"nonsense", ca.key_pem),
        "does not belong": (ca.certificate_pem, pem(ec.generate_private_key(ec.SECP256R1()))),
        "not an elliptic curve": (
            ca.certificate_pem,
            pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)),
        ),
        "not a CA's": (issued.chain_pem, issued.key_pem),
    }
    for reason, (certificate, key) in bad.items():
        with pytest.raises(BadAuthorityError, match=reason):
            Authority.load(certificate, key)


def test_a_leaf_without_a_name_is_refused() -> None:
    """Nobody could call it."""
    with pytest.raises(ValueError, match="DNS name or an IP"):
        Subject()


@given(
    jitter=st.floats(0, 1, exclude_max=True),
    life=st.timedeltas(min_value=timedelta(minutes=1), max_value=timedelta(days=7)),
)
def test_a_renewal_is_due_near_two_thirds_of_the_life(jitter: float, life: timedelta) -> None:
    """Never before half of it, never after two thirds, whatever the jitter."""
    due = leaf.renewal(NOW, NOW + life, jitter)
    tick = timedelta(microseconds=1)
    assert NOW + life / 2 < due <= NOW + life * leaf.RENEW_AT + tick


CAS = [Authority.create(NOW - timedelta(days=100 * i)).certificate for i in range(4)]


@given(st.lists(st.sampled_from(CAS)))
def test_every_replica_writes_the_same_bundle(cas: list[x509.Certificate]) -> None:
    """Order and repetition do not matter, and what is written can be read."""
    made = bundle.make(cas)
    assert made == bundle.make(reversed(cas))
    assert set(bundle.parse(made)) == set(cas)
    assert made.count(b"BEGIN CERTIFICATE") == len(set(cas))


def test_expired_cas_leave_the_bundle() -> None:
    """A bundle does not grow for ever."""
    kept = bundle.alive(CAS, NOW + timedelta(days=100))
    assert list(kept) == CAS[:3]


def test_a_bundle_of_nonsense_is_refused() -> None:
    """Nobody publishes what they cannot read."""
    with pytest.raises(ValueError, match="PEM"):
        bundle.parse(b"nonsense")
