#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Writes boxes.json from spec/03-boxes.md alone, sharing no code with the crates.

Needs Python 3 and the package `cryptography` (Ed25519, ChaCha20-Poly1305, nothing else is taken
from it). `boxes.py` prints the vectors; the tests of xchat-pigeonhole read the file.
"""
import hashlib
import hmac
import json
import struct

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305


def derive(ikm, label):
    """HKDF-SHA256 (RFC 5869), no salt, 32 bytes, empty context."""
    prk = hmac.new(bytes(32), ikm, hashlib.sha256).digest()
    info = b"xchat/1 " + label + b"\0"
    return hmac.new(prk, info + b"\1", hashlib.sha256).digest()


def hchacha20(key, nonce):
    """draft-irtf-cfrg-xchacha-03, section 2.2."""
    s = list(struct.unpack("<16I", b"expand 32-byte k" + key + nonce))

    def rotate(x, n):
        return (x << n | x >> (32 - n)) & 0xFFFFFFFF

    def quarter(a, b, c, d):
        for x, y, z, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            s[x] = (s[x] + s[y]) & 0xFFFFFFFF
            s[z] = rotate(s[z] ^ s[x], n)

    for _ in range(10):
        for i in range(4):
            quarter(i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return struct.pack("<8I", *s[:4], *s[12:])


def xchacha20poly1305(key, nonce, plaintext, ad):
    subkey = hchacha20(key, nonce[:16])
    return ChaCha20Poly1305(subkey).encrypt(bytes(4) + nonce[16:], plaintext, ad)


def seal(secret, nonce, content):
    """A lane's secret at a position to that position's box."""
    seed = derive(secret, b"lane seed")
    signing = Ed25519PrivateKey.from_private_bytes(derive(seed, b"box signing"))
    box_id = signing.public_key().public_bytes_raw()
    plaintext = struct.pack(">H", len(content)) + content
    plaintext += bytes(1408 - len(plaintext))
    ciphertext = xchacha20poly1305(derive(seed, b"box sealing"), nonce, plaintext, box_id)
    signature = signing.sign(b"xchat/1 box\0" + box_id + nonce + ciphertext)
    return box_id, box_id + signature + nonce + ciphertext


def main():
    lane, boxes = bytes([0x42]) * 32, []
    secret = lane
    for index in range(1001):
        if index in (0, 1, 2, 1000):
            nonce = hashlib.sha256(b"nonce %d" % index).digest()[:24]
            content = [b"", b"Hello, box.", bytes(range(256)) * 5 + bytes(126)][index % 3]
            box_id, sealed = seal(secret, nonce, content)
            boxes.append({"index": index, "id": box_id.hex(), "content": content.hex(), "box": sealed.hex()})
        secret = derive(secret, b"lane next")
    # The test vector of draft-irtf-cfrg-xchacha-03, section 2.2.1.
    key, nonce = bytes(range(32)), bytes.fromhex("000000090000004a0000000031415927")
    assert hchacha20(key, nonce).hex().startswith("82413b4227b27bfed30e42508a877d73")
    print(json.dumps({"lane_secret": lane.hex(), "boxes": boxes}, indent=1))


main()
