#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Reads the vectors by the specification alone, sharing no code with the crates.

It re-derives a lane and opens its boxes (03), the secrets of lanes from an epoch's exporter and the lanes of the rejoin windows (04), takes an invitation link apart (05), puts frames together from
cells (06), checks a network file's signatures (07), and decodes every other format of 03 to 07 to its last byte. Needs Python 3 and the package `cryptography`. Ends with a line that
says how many it has read, or with an error.
"""
import hashlib
import hmac
import json
import struct
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

HERE = Path(__file__).parent


class Reader:
    """Bytes from the front; every format is read to its end."""

    def __init__(self, data):
        self.data = data

    def take(self, count):
        if count > len(self.data):
            raise ValueError("cut short")
        taken, self.data = self.data[:count], self.data[count:]
        return taken

    def u8(self):
        return self.take(1)[0]

    def varint(self):
        """Unsigned LEB128 in its shortest form."""
        value = shift = 0
        while True:
            byte = self.u8()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                if byte == 0 and shift > 7:
                    raise ValueError("not the shortest form")
                return value

    def bytes(self):
        return self.take(self.varint())

    def list(self, item):
        return [item(self) for _ in range(self.varint())]

    def optional(self, item):
        present = self.u8()
        if present > 1:
            raise ValueError("neither there nor not")
        return item(self) if present else None

    def expect(self, byte):
        if self.u8() != byte:
            raise ValueError("another version")

    def end(self):
        if self.data:
            raise ValueError(f"{len(self.data)} bytes are left over")


# --- 03: boxes, lanes, requests, answers, messages between stores ---------------------------------

BOX_LEN = 32 + 64 + 24 + 1408 + 16


def derive(ikm, label, context=b""):
    """HKDF-SHA256 (RFC 5869), no salt, 32 bytes."""
    prk = hmac.new(bytes(32), ikm, hashlib.sha256).digest()
    return hmac.new(prk, b"xchat/1 " + label + b"\0" + context + b"\1", hashlib.sha256).digest()


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


def open_box(secret, sealed):
    """The content of a box at the lane's position with this secret."""
    box_id, signature, nonce, ciphertext = sealed[:32], sealed[32:96], sealed[96:120], sealed[120:]
    signed = b"xchat/1 box\0" + box_id + nonce + ciphertext
    Ed25519PublicKey.from_public_bytes(box_id).verify(signature, signed)
    key = hchacha20(derive(derive(secret, b"lane seed"), b"box sealing"), nonce[:16])
    plaintext = ChaCha20Poly1305(key).decrypt(bytes(4) + nonce[16:], ciphertext, box_id)
    length = struct.unpack(">H", plaintext[:2])[0]
    assert not any(plaintext[2 + length :]), "the rest is zeros"
    return plaintext[2 : 2 + length]


def box(reader):
    sealed = reader.take(BOX_LEN)
    signed = b"xchat/1 box\0" + sealed[:32] + sealed[96:]
    Ed25519PublicKey.from_public_bytes(sealed[:32]).verify(sealed[32:96], signed)
    return sealed


def ticket_of(ticket):
    """The id and the key of a ticket."""
    key = Ed25519PrivateKey.from_private_bytes(derive(ticket, b"ticket id"))
    return key.public_key().public_bytes_raw(), derive(ticket, b"ticket sealing")


def request(reader):
    reader.expect(2)
    reader.bytes()  # The reply block.
    op = reader.u8()
    if op == 0:
        reader.varint(), box(reader)
        assert (reader.take(32), reader.take(32)) == ticket_of(bytes([9]) * 16)
    elif op == 1:
        reader.varint(), reader.take(32)
    elif op == 2:
        reader.varint(), reader.take(32), reader.bytes(), reader.take(16), reader.take(32), reader.varint()
    elif op == 3:
        reader.take(32)
    else:
        raise ValueError("no such request")


def answer(reader):
    kind = reader.u8()
    if kind in (1, 2):
        box(reader)
    elif kind == 6:
        reader.take(16), reader.bytes()
    elif kind == 5:
        reader.varint()
    elif kind == 8:
        if reader.u8() == 0:
            reader.varint()
    elif kind > 8:
        raise ValueError("no such answer")


def signed_answer(reader):
    reader.expect(1)
    answer(reader)
    reader.optional(lambda r: r.take(32))
    reader.varint()
    reader.optional(lambda r: r.take(64))


def ballot(reader):
    return reader.varint(), reader.varint(), reader.u8()


def held(reader):
    return reader.optional(lambda r: (ballot(r), box(r)))


def replica_message(reader):
    reader.expect(1)
    reader.varint(), reader.take(16), reader.take(32), reader.varint()
    body = reader.u8()
    if body in (1, 3, 7):
        ballot(reader)
    elif body == 2:
        ballot(reader), box(reader)
    elif body in (4, 5):
        held(reader)
    elif body == 8:
        box(reader), reader.varint()
    elif body > 9:
        raise ValueError("no such message")


def told_delivery(reader):
    reader.expect(3)
    reader.take(32)
    assert len(reader.bytes()) == 1768


def entry(reader):
    reader.take(32)
    kind = reader.u8()
    if kind == 0:
        ballot(reader), box(reader), reader.varint()
    elif kind == 1:
        box(reader), reader.varint()
    elif kind == 2:
        reader.optional(lambda r: r.take(32)), reader.varint()
    else:
        raise ValueError("no such entry")


def table_message(reader):
    reader.expect(2)
    reader.varint(), reader.take(16), reader.varint()
    body = reader.u8()
    if body == 0:
        reader.optional(lambda r: r.take(32))
    elif body == 1:
        reader.take(32), reader.u8(), reader.list(entry)
    elif body == 2:
        reader.optional(lambda r: r.take(32)), reader.take(32), reader.take(32)
    elif body == 4:
        reader.take(32), reader.list(lambda r: r.take(32))
    elif body != 3:
        raise ValueError("no such message")


# --- 05: invitations ------------------------------------------------------------------------------

CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def bech32m(text):
    """BIP 350: the data part as bytes."""
    text = text.lower()
    prefix, data = text.rsplit("1", 1)
    values = [CHARSET.index(char) for char in data]
    check = 1
    expanded = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix] + values
    for value in expanded:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= generator if top >> bit & 1 else 0
    if check != 0x2BC830A3:
        raise ValueError("a typing error")
    bits = "".join(f"{value:05b}" for value in values[:-6])
    count = len(bits) // 8
    assert "1" not in bits[count * 8 :], "the padding is zeros"
    return prefix, bytes(int(bits[8 * i : 8 * i + 8], 2) for i in range(count))


def invitation_link(reader):
    scheme, rest = reader.take(len(reader.data)).decode().split(":", 1)
    assert scheme.lower() == "xchat"
    prefix, payload = bech32m(rest)
    assert prefix == "xc"
    inner = Reader(payload)
    inner.expect(1)
    network_id = inner.take(16)
    name = inner.take(inner.u8()).decode()
    secret, bundle_hash = inner.take(32), inner.take(32)
    inner.end()
    assert (network_id, name) == (bytes([1]) * 16, "demo")
    assert (secret, bundle_hash) == (bytes([2]) * 32, bytes([3]) * 32)


def bundle(reader):
    reader.expect(1)
    reader.bytes().decode(), reader.bytes()


def accept_entry(reader):
    reader.expect(1)
    assert len(reader.bytes()) == 68


def meeting(reader):
    reader.expect(1)
    reader.bytes(), reader.bytes()


# --- 04: what people say, and the commit and rejoin lanes -------------------------------------------

def record(reader):
    reader.varint(), reader.varint()
    assert reader.u8() < 2
    reader.bytes()


def record_batch(reader):
    reader.expect(1)
    assert reader.list(record)


def alone(item):
    """A format that is one value after its version."""

    def decode(reader):
        reader.expect(1)
        item(reader)

    return decode


def text(reader):
    reader.varint()
    assert len(reader.bytes().decode()) > 0


def taken(reader):
    reader.varint(), reader.take(16)


def rejoin_entry(reader):
    reader.expect(1)
    assert reader.u8() < 2, "a request or an answer"
    reader.varint(), reader.take(16)
    assert len(reader.bytes()) == 68


def rejoin_request(reader):
    reader.expect(1)
    reader.bytes(), taken(reader)


# --- 07: the network's document ---------------------------------------------------------------------


def address(reader):
    reader.take((4, 16)[reader.u8()]), reader.varint()


def node(reader):
    node_id = reader.take(32)
    reader.take(32)
    role = reader.u8()
    if role == 1:
        assert 1 <= reader.u8() <= 3
    elif role == 2:
        reader.take(16)
    elif role != 0:
        raise ValueError("no such role")
    assert 1 <= len(reader.list(address)) <= 8
    keys = reader.list(lambda r: (r.take(32), r.varint(), r.varint()))
    assert len(keys) <= 4 and (role == 0) == (keys == [])
    return node_id, role


def past(reader):
    reader.list(lambda r: (r.take(32), r.take(32), r.take(32), r.take(16)))
    reader.list(lambda r: r.take(32))


def document(reader):
    reader.expect(1)
    network = reader.take(16)
    assert reader.varint() >= 1
    reader.take(32)
    assert reader.varint() < reader.varint(), "it begins before it ends"
    reader.varint()
    tokens = reader.list(lambda r: (r.take(32), r.take(32)))
    assert len(reader.list(past)) <= 16
    nodes = reader.list(node)
    stores = sorted(node_id for node_id, role in nodes if role == 2)
    assert sorted(node_id for node_id, _ in tokens) == stores, "a token for each store"
    reader.varint(), reader.optional(Reader.varint), reader.u8()
    for _ in range(4):
        reader.varint()
    return network


def signed_document(reader):
    """The document's bytes, and who has signed them how."""
    reader.expect(1)
    inner = reader.bytes()
    plain = Reader(inner)
    document(plain)
    plain.end()
    return inner, reader.list(lambda r: (r.u8(), r.take(64)))


def network_file(reader):
    """Every signature in it holds, and there are enough."""
    file = json.loads(reader.take(len(reader.data)).decode())
    assert sorted(file) == ["authorities", "document", "name", "threshold", "version"] and file["version"] == 1
    authorities = [bytes.fromhex(key) for key in file["authorities"]]
    assert 3 * file["threshold"] >= 2 * len(authorities)
    inner = Reader(bytes.fromhex(file["document"]))
    signed, signatures = signed_document(inner)
    inner.end()
    assert len({index for index, _ in signatures}) >= file["threshold"]
    for index, signature in signatures:
        Ed25519PublicKey.from_public_bytes(authorities[index]).verify(signature, b"xchat/1 document\0" + signed)


# --- 06: frames -----------------------------------------------------------------------------------



def client_frame(reader):
    reader.expect(1)
    kind = reader.u8()
    if kind == 0:
        assert reader.u8() < 4
        reader.list(lambda r: r.take(16)), reader.take(64)
    elif kind == 1:
        reader.take(16), reader.take(16)
        assert len(reader.bytes()) == 2396
    elif kind == 2:
        reader.varint()
    elif kind == 4:
        reader.take(32), reader.list(lambda r: r.take(16))
    elif kind != 3:
        raise ValueError("no such frame")


def gateway_frame(reader):
    reader.expect(1)
    kind = reader.u8()
    if kind == 0:
        reader.take(32)
    elif kind == 1:
        assert len(reader.bytes()) == 2396
    elif kind == 2:
        reader.optional(Reader.bytes)
    elif kind == 3:
        reader.u8(), reader.varint()
    elif kind == 4:
        reader.take(32), reader.varint(), reader.varint()
    else:
        raise ValueError("no such frame")


def cell_stream(cells):
    """The frames that were cut into these cells (6.9)."""
    frames, frame, missing = [], b"", 0
    for cell in cells:
        rest = Reader(cell)
        while True:
            piece = rest.take(min(missing, len(rest.data)))
            frame, missing = frame + piece, missing - len(piece)
            if missing:
                break
            if frame:
                frames, frame = frames + [frame], b""
            if len(rest.data) < 4:
                break
            missing = struct.unpack(">I", rest.take(4))[0]
            assert missing <= 65536
            if missing == 0:
                break
    return frames


def node_frame(reader):
    reader.expect(1)
    reader.take(16), reader.take(2396)


FORMATS = {
    "client frame": client_frame,
    "gateway frame": gateway_frame,
    "node frame": node_frame,
    "request": request,
    "signed answer": signed_answer,
    "delivery": lambda reader: reader.take(1768),
    "box": box,
    "run pointer": lambda reader: reader.take(68),
    "replica message": replica_message,
    "table message": table_message,
    "told delivery": told_delivery,
    "invitation link": invitation_link,
    "bundle": bundle,
    "accept entry": accept_entry,
    "meeting": meeting,
    "document": document,
    "signed document": signed_document,
    "network file": network_file,
    "cell": lambda reader: cell_stream([reader.take(2417) for _ in range(len(reader.data) // 2417)]),
    "record batch": record_batch,
    "profile": alone(lambda r: r.bytes().decode()),
    "text": alone(text),
    "receipt": alone(Reader.varint),
    "gap": alone(Reader.varint),
    "records taken in": alone(taken),
    "tickets": alone(lambda r: (r.take(1), r.list(lambda r: (r.take(16), r.varint())))),
    "commit entry": alone(lambda r: r.take(r.varint())),
    "rejoin entry": rejoin_entry,
    "rejoin request": rejoin_request,
}


def rejoin_secrets():
    """A lane of each window, from the secret that the two have kept (04, 4.13); the number of them."""
    given = json.loads((HERE / "conversation.json").read_text())["rejoin"]
    secret = bytes.fromhex(given["secret"])
    for window in given["windows"]:
        lane = derive(secret, b"rejoin window", struct.pack(">Q", window["window"]))
        signing = derive(derive(lane, b"lane seed"), b"box signing")
        key = Ed25519PrivateKey.from_private_bytes(signing).public_key()
        assert key.public_bytes_raw().hex() == window["first_box"]
    return len(given["windows"])


def expand_with_label(secret, label, context, length):
    """RFC 9420, section 8, with HKDF-SHA256; vectors with lengths below 64 have a length of one byte."""
    label = b"MLS 1.0 " + label
    assert len(label) < 64 and len(context) < 64 and length <= 32
    info = struct.pack(">HB", length, len(label)) + label + bytes([len(context)]) + context
    return hmac.new(secret, info + b"\1", hashlib.sha256).digest()[:length]


def exported_secrets():
    """What MLS-Exporter (RFC 9420, section 8.5) gives for the labels of 04, 4.5; the number of them."""
    count = 0
    for epoch in json.loads((HERE / "exporter.json").read_text())["epochs"]:
        exporter = bytes.fromhex(epoch["exporter_secret"])
        for given in epoch["exports"]:
            derived = expand_with_label(exporter, b"xchat/1 " + given["label"].encode(), b"", 32)
            context = hashlib.sha256(bytes.fromhex(given["context"])).digest()
            assert expand_with_label(derived, b"exported", context, 32).hex() == given["secret"], given["label"]
            count += 1
    return count


def main():
    lane = json.loads((HERE / "boxes.json").read_text())
    secret, at, opened = bytes.fromhex(lane["lane_secret"]), 0, 0
    for given in lane["boxes"]:
        while at < given["index"]:
            secret, at = derive(secret, b"lane next"), at + 1
        content = open_box(secret, bytes.fromhex(given["box"]))
        assert content.hex() == given["content"], f"box {at} says something else"
        opened += 1
    derived = rejoin_secrets() + exported_secrets()
    read, unknown = 0, set(FORMATS)
    known_formats = json.loads((HERE / "formats.json").read_text())
    known_formats += json.loads((HERE / "conversation.json").read_text())["formats"]
    for known in known_formats:
        decode = FORMATS[known["format"]]
        unknown.discard(known["format"])
        for value in known["values"]:
            reader = Reader(bytes.fromhex(value))
            decode(reader)
            reader.end()
            read += 1
    assert not unknown, f"no values of {unknown}"
    print(f"{opened} boxes opened, {derived} secrets derived, {read} values of {len(FORMATS)} formats read")


main()
