#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Makes work.json: proofs of work (section 6.8), computed independently of the Rust code.

Needs the package `blake3`. Run: python3 work.py > work.json
"""

import json

from blake3 import blake3

CONTEXT = "xchat 2026-11-24 session proof of work v1"


def proof(gateway, client, seed, effort):
    key = blake3(gateway + client + seed, derive_key_context=CONTEXT).digest()
    limit = (2**64 - 1) // max(effort, 1)
    numbers = []
    for share in range(16):
        number = 0
        while True:
            text = bytes([share]) + number.to_bytes(4, "big")
            value = int.from_bytes(blake3(text, key=key).digest()[:8], "big")
            if value <= limit:
                break
            number += 1
        numbers.append(number.to_bytes(4, "big"))
    return b"".join(numbers)


def vector(index, effort):
    gateway, client, seed = (bytes([index * 16 + part]) * 32 for part in (1, 2, 3))
    return {
        "gateway": gateway.hex(),
        "client": client.hex(),
        "seed": seed.hex(),
        "effort": effort,
        "proof": proof(gateway, client, seed, effort).hex(),
    }


print(json.dumps([vector(i, e) for i, e in enumerate([0, 1, 2, 1000, 4096])], indent=2))
