"""A caller over the socket. call.py SOCKET MODE [WORD...]: says what it hears as one line of JSON, or what kept it from hearing."""
import json, socket, sys, time

path, mode, words = sys.argv[1], sys.argv[2], sys.argv[3:]
now = float(open('/proc/uptime').read().split()[0])
line = json.dumps({'until': now + 5, 'call': words}).encode() + b'\n'


def greeted():
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(60)
    s.connect(path)
    assert s.recv(6) == b'ready\n', 'no greeting'
    return s


def rest(s):
    heard = b''
    while chunk := s.recv(65536):
        heard += chunk
    return heard.decode() or 'nothing'


def one():
    s = greeted()
    s.sendall(line)
    return rest(s)


try:
    if mode == 'call':
        print(one())
    elif mode == 'raw':  # WORD as it is
        s = greeted()
        s.sendall(words[0].encode())
        print(rest(s))
    elif mode == 'late':
        s = greeted()
        s.sendall(json.dumps({'until': now - 1, 'call': words}).encode() + b'\n')
        print(rest(s))
    elif mode == 'dies':  # asked, and gone before the answer
        s = greeted()
        s.sendall(line)
        s.close()
        print('gone')
    elif mode == 'half':
        s = greeted()
        s.sendall(line[:-1])
        s.close()
        print('gone')
    elif mode == 'times':  # ms of 20 calls, one after the other
        took = []
        for _ in range(20):
            began = time.monotonic()
            line = json.dumps({'until': now + 300, 'call': words}).encode() + b'\n'
            one()
            took.append(round((time.monotonic() - began) * 1000))
        print(sorted(took))
    elif mode == 'flood':  # as many as it gets, held open and silent, for 6 s
        held, end, counted = [], time.monotonic() + 6, 0
        while time.monotonic() < end:
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(0.2)
            try:
                s.connect(path)
                held.append(s)
                counted += 1
            except OSError:
                time.sleep(0.005)
            if len(held) > 500:
                held.pop(0).close()
        print(counted)
except (OSError, AssertionError) as error:
    print(f'{type(error).__name__}: {error}')
