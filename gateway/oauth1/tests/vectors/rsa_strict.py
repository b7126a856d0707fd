#!/usr/bin/env python3
"""Writes rsa_strict.txt: what is an RSA key or signature, and what only resembles one (C60). Keys and honest signatures are
OpenSSL's; the others are made from its numbers. Each run makes new keys; the private ones are not kept.

    ./rsa_strict.py > rsa_strict.txt
"""
import base64
import hashlib
import os
import subprocess
import tempfile

BASE = b"GET&http%3A%2F%2Fshop.example%2F&oauth_nonce%3D"


def openssl(*arguments, stdin=None):
    return subprocess.run(["openssl", *arguments], input=stdin, check=True, capture_output=True).stdout


def tlv(tag, *contents):
    contents = b"".join(contents)
    size = len(contents)
    if size < 0x80:
        length = bytes([size])
    elif size < 0x100:
        length = bytes([0x81, size])
    else:
        length = bytes([0x82, size >> 8, size & 0xFF])
    return bytes([tag]) + length + contents


def integer(number):
    return tlv(2, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def pkcs1(modulus, exponent):
    return tlv(0x30, integer(modulus), integer(exponent))


def oid(text):
    return tlv(6, bytes.fromhex(text))


RSA = oid("2a864886f70d010101")
NULL = bytes([5, 0])
PREFIX = {
    "sha1": bytes.fromhex("3021300906052b0e03021a05000414"),
    "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
}


def spki(key, algorithm=RSA + NULL, unused=0, after=b""):
    return tlv(0x30, tlv(0x30, algorithm), tlv(3, bytes([unused]), key), after)


def private_key(folder, bits, exponent=65537):
    path = os.path.join(folder, f"{bits}-{exponent}.pem")
    options = ["-pkeyopt", f"rsa_keygen_bits:{bits}", "-pkeyopt", f"rsa_keygen_pubexp:{exponent}"]
    openssl("genpkey", "-algorithm", "RSA", *options, "-out", path)
    der = openssl("rsa", "-in", path, "-traditional", "-outform", "DER")
    numbers, at = [], 4
    while at < len(der):
        size, at = der[at + 1], at + 2
        if size & 0x80:
            octets = size & 0x7F
            size, at = int.from_bytes(der[at : at + octets], "big"), at + octets
        numbers.append(int.from_bytes(der[at : at + size], "big"))
        at += size
    _, modulus, public, private = numbers[:4]
    return path, modulus, public, private


def stanza(**lines):
    for name, value in lines.items():
        if isinstance(value, bytes):
            value = base64.b64encode(value).decode()
        print(f"{name.replace('_', '-')}: {value}")
    print()


def keys(folder):
    path, modulus, exponent, _ = private_key(folder, 2048)
    good = pkcs1(modulus, exponent)
    accept = {
        "SPKI by OpenSSL": ("PUBLIC KEY", openssl("rsa", "-in", path, "-pubout", "-outform", "DER")),
        "PKCS#1 by OpenSSL": ("RSA PUBLIC KEY", openssl("rsa", "-in", path, "-RSAPublicKey_out", "-outform", "DER")),
        "certificate by OpenSSL": (
            "CERTIFICATE",
            openssl("req", "-x509", "-key", path, "-subj", "/CN=test", "-days", "1", "-outform", "DER"),
        ),
    }
    certificate = accept["certificate by OpenSSL"][1]
    zeros = modulus.to_bytes(258, "big")
    refuse = {
        "another label": ("PRIVATE KEY", good),
        "the label of a private key": ("RSA PRIVATE KEY", good),
        "PKCS#1 labelled SPKI": ("PUBLIC KEY", good),
        "SPKI labelled PKCS#1": ("RSA PUBLIC KEY", spki(good)),
        "an octet behind SPKI": ("PUBLIC KEY", spki(good) + b"\0"),
        "an octet behind PKCS#1": ("RSA PUBLIC KEY", good + b"\0"),
        "an octet behind the certificate": ("CERTIFICATE", certificate + b"\0"),
        "an octet behind PKCS#1 within SPKI": ("PUBLIC KEY", spki(good + b"\0")),
        "an element behind the key within SPKI": ("PUBLIC KEY", spki(good, after=NULL)),
        "a third number": ("RSA PUBLIC KEY", tlv(0x30, integer(modulus), integer(exponent), integer(1))),
        "a length with a leading zero": ("RSA PUBLIC KEY", b"\x30\x83\x00" + good[2:]),
        "a modulus with needless zeros": ("RSA PUBLIC KEY", tlv(0x30, tlv(2, zeros), integer(exponent))),
        "a negative modulus": ("RSA PUBLIC KEY", tlv(0x30, tlv(2, zeros[2:]), integer(exponent))),
        "an even modulus": ("RSA PUBLIC KEY", pkcs1(modulus - 1, exponent)),
        "an exponent of 1": ("RSA PUBLIC KEY", pkcs1(modulus, 1)),
        "an even exponent": ("RSA PUBLIC KEY", pkcs1(modulus, 65536)),
        "an exponent of zero": ("RSA PUBLIC KEY", pkcs1(modulus, 0)),
        "an exponent as long as the modulus": ("RSA PUBLIC KEY", pkcs1(modulus, modulus - 2)),
        "no parameters": ("PUBLIC KEY", spki(good, RSA)),
        "other parameters": ("PUBLIC KEY", spki(good, RSA + tlv(0x30))),
        "RSASSA-PSS": ("PUBLIC KEY", spki(good, oid("2a864886f70d01010a") + NULL)),
        "an unused bit": ("PUBLIC KEY", spki(good, unused=1)),
        "an elliptic curve": ("PUBLIC KEY", openssl("pkey", "-pubout", "-outform", "DER", stdin=elliptic())),
        "2047 bits": ("RSA PUBLIC KEY", pkcs1((1 << 2046) + 3, exponent)),
        "8193 bits": ("RSA PUBLIC KEY", pkcs1((1 << 8192) + 3, exponent)),
        "cut short": ("RSA PUBLIC KEY", good[:-1]),
        "empty": ("RSA PUBLIC KEY", b""),
    }
    for why, (label, der) in accept.items():
        stanza(key=why, label=label, accepted=der)
    for why, (label, der) in refuse.items():
        stanza(key=why, label=label, refused=der)


def elliptic():
    return openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")


def digest(name, message):
    return hashlib.new(name, message).digest()


def padded(info, size=256, kind=1, filler=b"\xff"):
    return b"\0" + bytes([kind]) + filler * (size - 3 - len(info)) + b"\0" + info


def signatures(folder, method, name):
    path, modulus, exponent, private = private_key(folder, 2048)

    def raw(block):
        return pow(int.from_bytes(block, "big"), private, modulus).to_bytes(256, "big")

    # One whose signature has room for the modulus on top of it.
    attempt = 0
    while True:
        message = BASE + str(attempt).encode()
        good = openssl("dgst", "-" + name, "-sign", path, stdin=message)
        if int.from_bytes(good, "big") + modulus < 1 << 2048:
            break
        attempt += 1
    hashed = digest(name, message)
    info = PREFIX[name] + hashed
    other = "sha1" if name == "sha256" else "sha256"
    assert raw(padded(info)) == good
    oid_and_null = info[4 : -2 - len(hashed)]
    without_null = tlv(0x30, tlv(0x30, oid_and_null[:-2]), tlv(4, hashed))
    long_length = bytes([0x30, 0x81, info[1]]) + info[2:]
    pss = openssl("dgst", "-" + name, "-sigopt", "rsa_padding_mode:pss", "-sign", path, stdin=message)
    refuse = {
        "another key's": openssl("dgst", "-" + name, "-sign", private_key(folder, 2048)[0], stdin=message),
        "PSS": pss,
        "the other hash": openssl("dgst", "-" + other, "-sign", path, stdin=message),
        "the hash without DigestInfo": raw(padded(hashed)),
        "DigestInfo without NULL": raw(padded(without_null)),
        "a length in long form": raw(padded(long_length)),
        "an octet behind the hash": raw(padded(info + b"\0")),
        "short padding and octets behind the hash": raw(b"\0\1" + b"\xff" * 8 + b"\0" + info + b"\0" * (245 - len(info))),
        "padding with another octet": raw(padded(info).replace(b"\xff", b"\xfe", 1)),
        "padding of zeros": raw(padded(info, kind=0, filler=b"\0")),
        "the padding of encryption": raw(padded(info, kind=2)),
        "the modulus on top": (int.from_bytes(good, "big") + modulus).to_bytes(256, "big"),
        "a leading zero": b"\0" + good,
        "an octet behind": good + b"\0",
        "an octet short": good[:-1],
        "empty": b"",
        "zero": bytes(256),
        "one": (1).to_bytes(256, "big"),
        "the modulus": modulus.to_bytes(256, "big"),
    }
    public = pkcs1(modulus, exponent)
    stanza(signature="by OpenSSL", method=method, public=public, base=message.decode(), accepted=good)
    for why, value in refuse.items():
        stanza(signature=why, method=method, public=public, base=message.decode(), refused=value)


def cube_root(number):
    low, high = 0, 1 << (number.bit_length() // 3 + 2)
    while low < high:
        middle = (low + high) // 2
        if middle**3 < number:
            low = middle + 1
        else:
            high = middle
    return low


def forged(folder, method, name):
    """Without the private key: a cube that begins as a signature must, if nobody looks at what follows the hash."""
    _, modulus, exponent, _ = private_key(folder, 2048, 3)
    message = BASE + b"forged"
    start = b"\0\1" + b"\xff" * 8 + b"\0" + PREFIX[name] + digest(name, message)
    root = cube_root(int.from_bytes(start + bytes(256 - len(start)), "big"))
    assert (root**3).to_bytes(256, "big").startswith(start) and root**3 < modulus
    public = pkcs1(modulus, exponent)
    stanza(signature="a cube root", method=method, public=public, base=message.decode(), refused=root.to_bytes(256, "big"))


def main():
    print("# Written by rsa_strict.py: keys (DER in base64, and the label of their PEM) and signatures (of a PKCS#1 key).\n")
    with tempfile.TemporaryDirectory() as folder:
        keys(folder)
        for method, name in [("RSA-SHA1", "sha1"), ("RSA-SHA256", "sha256")]:
            signatures(folder, method, name)
            forged(folder, method, name)


main()
