"""Two clients of one XMPP server: messages one by one, and many at once. Argument: the server's process."""

import asyncio
import logging
import ssl
import sys
import time

import slixmpp

logging.basicConfig(level=logging.ERROR)

ONE_BY_ONE = 300
AT_ONCE = 2000


def client(name):
    xmpp = slixmpp.ClientXMPP(f"{name}@lab.test/x", "pw")
    # The server's certificate is its own, made a moment ago.
    xmpp.ssl_context.check_hostname = False
    xmpp.ssl_context.verify_mode = ssl.CERT_NONE
    return xmpp


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


async def main(pid):
    alice, bob = client("alice"), client("bob")
    ready = []
    for xmpp in (alice, bob):
        there = asyncio.Event()
        ready.append(there.wait())

        def started(_, xmpp=xmpp, there=there):
            xmpp.send_presence()
            there.set()

        xmpp.add_event_handler("session_start", started)
        xmpp.connect("127.0.0.1", 15222)
    await asyncio.wait_for(asyncio.gather(*ready), 30)

    arrived = asyncio.Semaphore(0)
    bob.add_event_handler("message", lambda _: arrived.release())

    async def say(count):
        for _ in range(count):
            alice.send_message(mto="bob@lab.test/x", mbody="x" * 256, mtype="chat")
        for _ in range(count):
            await asyncio.wait_for(arrived.acquire(), 120)

    await say(10)
    delays = []
    for _ in range(ONE_BY_ONE):
        start = time.perf_counter()
        await say(1)
        delays.append((time.perf_counter() - start) * 1e3)
    delays.sort()
    print("median_ms", delays[len(delays) // 2])
    spent, start = cpu_seconds(pid), time.perf_counter()
    await say(AT_ONCE)
    print("cpu_ms", (cpu_seconds(pid) - spent) * 1e3 / AT_ONCE)
    print("per_second", AT_ONCE / (time.perf_counter() - start))
    await alice.disconnect()
    await bob.disconnect()


asyncio.run(main(sys.argv[1]))
