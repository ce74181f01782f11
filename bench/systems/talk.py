"""The other end of bench/system.lua, as bench/talk.lua is in Lua."""
import sys


def peak():
    """The process's peak of memory in bytes, mapped files included. (ru_maxrss begins with that of the process before.)"""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) * 1024


def ids(length, other=0):
    return [(i * 7 + other * 13) % 50000 for i in range(1, length + 1)]


def talk(requests):
    """requests: what to do, by a line's first word; the other words, whole numbers, are the arguments."""
    requests = {"peak": peak, **requests}
    print("ready", flush=True)
    for line in sys.stdin:
        name, *arguments = line.split()
        try:
            print("%.9g" % requests[name](*map(int, arguments)), flush=True)
        except Exception as problem:  # a system that cannot do something is left out there
            print("none " + " ".join(repr(problem).split()), flush=True)
