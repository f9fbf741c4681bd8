"""
ask.py connect HOST PORT       one connection and one byte: open, refused or silent
ask.py hold HOST PORT SECONDS  one established connection, a byte every 20 ms; prints CLOCK_BOOTTIME of the last answer, and how it ended
"""
import socket, sys, time

def connect(host, port):
    return socket.create_connection((host, port), timeout=1)

how, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
if how == 'connect':
    try:
        with connect(host, port) as sock:
            sock.sendall(b'x')
            print('open' if sock.recv(1) == b'x' else 'closed')
    except (ConnectionRefusedError, ConnectionResetError):
        print('refused')
    except (TimeoutError, socket.timeout):
        print('silent')
else:
    end = time.monotonic() + float(sys.argv[4])
    last, fate = 0.0, 'lasted'
    with connect(host, port) as sock:
        sock.settimeout(0.3)
        print('held', flush=True)
        while time.monotonic() < end:
            try:
                sock.sendall(b'x')
                if not sock.recv(64):
                    fate = 'ended'
                    break
                last = time.clock_gettime(time.CLOCK_BOOTTIME)
            except (TimeoutError, socket.timeout):
                fate = 'silent'
                break
            except ConnectionError:
                fate = 'reset'
                break
            time.sleep(0.02)
    print(f'{last:.3f} {fate}')
