"""
holder.py SECONDS EVERY [TIMES]  what the agent does: renews the kernel lease, each time for SECONDS from now. Prints each deadline
and the answer. Without TIMES it goes on; at the end it leaves without closing.
"""
import socket, sys, time

right, every = float(sys.argv[1]), float(sys.argv[2])
times = int(sys.argv[3]) if len(sys.argv) > 3 else 10**9
sock = socket.socket(socket.AF_UNIX)
sock.connect('/run/cloudify-lease/lease.sock')
lines = sock.makefile('r')
for turn in range(times):
    if turn:
        time.sleep(every)
    deadline = time.clock_gettime(time.CLOCK_BOOTTIME) + right
    began = time.monotonic()
    sock.sendall(b'renew %.2f\n' % (deadline - 0.005))
    print(f'{deadline:.3f} {lines.readline().strip()} {(time.monotonic() - began) * 1000:.2f}', flush=True)
