#!/usr/bin/env python3
"""Makes encrypted.txt: secrets encrypted as a Magento store keeps them, by the Python package "cryptography".

<key no>:<cipher no>:<base64 of nonce, cipher text and tag>; cipher 3 is ChaCha20-Poly1305 (RFC 8439) with the nonce for
additional data. The keys are those of a crypt/key of three lines: two of 32 characters, one of 32 octets in base64.

    python3 make.py >encrypted.txt
"""
import base64
import hashlib

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

KEYS = ["0123456789abcdef0123456789abcdef", "zyxwvutsrqponmlkjihgfedcba987654"]
KEYS.append("base64" + base64.b64encode(hashlib.sha256(b"third").digest()).decode())


def octets(key):
    return base64.b64decode(key[6:]) if key.startswith("base64") else key.encode()


def seal(number, plain, nonce):
    sealed = ChaCha20Poly1305(octets(KEYS[number])).encrypt(nonce, plain.encode(), nonce)
    return f"{number}:3:{base64.b64encode(nonce + sealed).decode()}"


print("# Made by make.py. key: the lines of crypt/key; secret: what was encrypted, then as it is stored.")
for key in KEYS:
    print("key", key)
for number in range(len(KEYS)):
    for turn in range(3):
        seed = hashlib.sha256(f"{number} {turn}".encode())
        plain = seed.hexdigest()[:32]
        print("secret", plain, seal(number, plain, seed.digest()[-12:]))
