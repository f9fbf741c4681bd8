"""Answers every byte with one, on all addresses and the ports given. A client's service, as small as it can be."""
import asyncio, socket, sys

async def serve(reader, writer):
    try:
        while data := await reader.read(64):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass

async def main():
    for port in map(int, sys.argv[1:]):
        sock = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(('::', port))
        await asyncio.start_server(serve, sock=sock)
    await asyncio.Event().wait()

asyncio.run(main())
