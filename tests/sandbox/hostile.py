"""Programs that want to do harm, or to pass without being right.

Each is run with ``assert harmed`` as its test: it sets ``harmed`` only when it got what it was
after, so that it passes only if the sandbox, or the proof that the tests ended, gave way. The names
``SECRET`` (a file of the host with a secret text), ``PORT`` (a listener on the host's loopback),
``HOST_PID`` and ``HOME`` are put before each.
"""

from __future__ import annotations

from collections.abc import Mapping

PRELUDE = """
import os, sys, signal, time, socket, subprocess
harmed = False
def shout(data):
    for fd in range(256):
        try: os.write(fd, data)
        except OSError: pass
def secrets(values):
    for value in list(values):
        if type(value) is bytes and len(value) == 32:
            shout(value)
            os._exit(0)
def forge():
    os._exit(0)
"""

HARM: Mapping[str, str] = {
    "fork bomb": "while True:\n    os.fork()",
    "fork bomb that goes on": """
while True:
    try: os.fork()
    except OSError: pass
""",
    "thread bomb": """
import threading
count = 0
try:
    while count < 1000:
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        count += 1
finally:
    harmed = count >= 1000
""",
    "all of the memory": """
held = []
while len(held) < 64: held.append(b"x" * (1 << 26))
harmed = True
""",
    "memory of many processes": """
for _ in range(8):
    if os.fork() == 0: time.sleep(60)
held = b"x" * (1 << 30)
harmed = True
""",
    "filling the disk": """
for name in range(100):
    with open(f"/tmp/{name}", "wb") as file: file.write(b"x" * (1 << 22))
harmed = True
""",
    "one huge file": "open('/tmp/x', 'wb').truncate(1 << 40)\nharmed = True",
    "shared memory": "open('/dev/shm/x', 'wb').write(b'x' * (1 << 20))\nharmed = True",
    "connecting to the internet": """
socket.create_connection(("1.1.1.1", 53), 1)
harmed = True
""",
    "looking up a name": "socket.getaddrinfo('example.com', 80)\nharmed = True",
    "a listener on the host": """
socket.create_connection(("127.0.0.1", PORT), 1)
harmed = True
""",
    "UDP": "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('8.8.8.8', 53))\nharmed = True",
    "a file of the host": "harmed = 'secret' in open(SECRET).read()",
    "a link to a file of the host": """
os.symlink(SECRET, "/tmp/link")
harmed = 'secret' in open("/tmp/link").read()
""",
    "up from the working directory": """
harmed = any(os.path.exists("/tmp/" + "../" * n + SECRET) for n in range(9))
""",
    "/etc/passwd": "harmed = bool(open('/etc/passwd').read())",
    "/etc/shadow": "harmed = bool(open('/etc/shadow').read())",
    "/root": "harmed = any(name != '.pyenv' for name in os.listdir('/root'))",
    "the user's home": "harmed = any(not n.startswith('.pyenv') for n in os.listdir(HOME))",
    "/proc": "harmed = bool(os.listdir('/proc'))",
    "the environment": "harmed = 'ABLATE_TEST_SECRET' in os.environ",
    "writing beside a file of the host": "open(SECRET + '.new', 'w').write('x')\nharmed = True",
    "writing into /": "open('/x', 'w').write('x')\nharmed = True",
    "writing into /usr": "open('/usr/x', 'w').write('x')\nharmed = True",
    "removing the interpreter": "os.remove(os.path.realpath(sys.executable))\nharmed = True",
    "making the root writable": """
code = "import ctypes; raise SystemExit(ctypes.CDLL(None).mount(None, b'/', None, 32, None))"
harmed = subprocess.run([sys.executable, "-S", "-c", code]).returncode == 0
""",
    "killing the parent": "os.kill(os.getppid(), 9)\ntime.sleep(.1)\nharmed = os.getppid() != 1",
    "killing everything": "os.kill(-1, 9)\nharmed = False",
    "a signal to the host": "os.kill(HOST_PID, 0)\nharmed = HOST_PID > 50",
    "stopping itself": "os.kill(os.getpid(), signal.SIGSTOP)",
    "becoming root": "os.setuid(0)\nharmed = True",
    "a user namespace": """
code = "import ctypes; raise SystemExit(ctypes.CDLL(None).unshare(0x10000000))"
harmed = subprocess.run([sys.executable, "-S", "-c", code]).returncode == 0
""",
    "unshare": "harmed = subprocess.run(['unshare', '-Ur', 'true']).returncode == 0",
    "nested bubblewrap": """
harmed = subprocess.run(['bwrap', '--ro-bind', '/', '/', 'true']).returncode == 0
""",
    "chroot": "os.chroot('/tmp')\nharmed = True",
    "a device": "os.mknod('/tmp/kmsg', 0o600 | 0o020000, os.makedev(1, 11))\nharmed = True",
    "a daemon that stays": """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True: time.sleep(1)
""",
    "a core dump": "os.abort()",
    "raising its limits": """
import resource
for kind in (resource.RLIMIT_AS, resource.RLIMIT_NPROC, resource.RLIMIT_CORE):
    resource.setrlimit(kind, (resource.RLIM_INFINITY,) * 2)
    harmed = True
""",
    "an endless loop": "while True: pass",
    "sleeping for ever": "time.sleep(10**6)",
    "printing for ever": "while True: print('x' * 10000)",
    "a huge power": "x = 10 ** 10 ** 9\nharmed = bool(x)",
    "a regular expression without end": "import re\nre.match('(a+)+$', 'a' * 60 + 'b')",
    "endless recursion": """
import resource
resource.setrlimit(resource.RLIMIT_AS, (200 << 20,) * 2)
sys.setrecursionlimit(10**9)
def f(): return f()
f()
""",
    "recursion in C": """
sys.setrecursionlimit(10**9)
x = []
for _ in range(4 * 10**5): x = [x]
repr(x)
""",
    "a zip bomb": """
import zlib
bomb = zlib.compress(zlib.compress(b"x" * (1 << 24)))
harmed = len(zlib.decompress(zlib.decompress(bomb)) * 64) > 0
""",
    "a source nested too deep": "exec('(' * 10**5 + ')' * 10**5)\nharmed = True",
    "reading what is not there": "harmed = sys.stdin.read() != '' or os.read(0, 1) != b''",
    "waiting for a terminal": "input()\nharmed = True",
}

FORGED: Mapping[str, str] = {
    "sys.exit(0)": "sys.exit(0)",
    "os._exit(0)": "os._exit(0)",
    "SystemExit": "raise SystemExit",
    "os._exit(0) in a thread": """
import threading
threading.Thread(target=os._exit, args=(0,)).start()
time.sleep(1)
""",
    "os._exit(0) at exit": "import atexit\natexit.register(os._exit, 0)",
    "another program in its place": "os.execv('/usr/bin/true', ['true'])",
    "a child that ends well": "os.fork() or os._exit(0)\nos._exit(0)",
    "what success looks like": "[shout(x) for x in (b'+', b'passed', b'\\0' * 32, b'x' * 32)]",
    "output full of guesses": """
import random
for _ in range(300): shout(random.randbytes(32))
os._exit(0)
""",
    "closing every descriptor": "os.closerange(0, 256)",
    "reading every descriptor": """
for fd in range(256):
    try: secrets([os.read(fd, 32), os.pread(fd, 32, 0), os.pread(fd, 32, 1)])
    except OSError: pass
forge()
""",
    "its arguments": """
for word in [*sys.argv, *sys.orig_argv]: shout(word.encode()[:32])
forge()
""",
    "its environment": "secrets(os.environb.values())\nforge()",
    "its memory file": """
for line in open('/proc/self/maps'): print(line)
harmed = True
""",
    "frames below": """
frame = sys._getframe()
while frame:
    secrets([*frame.f_locals.values(), *frame.f_globals.values(), *frame.f_code.co_consts])
    frame = frame.f_back
forge()
""",
    "frames of a traceback": """
try: 1 / 0
except ZeroDivisionError as error:
    frame = error.__traceback__.tb_frame
    while frame:
        secrets([*frame.f_locals.values(), *frame.f_globals.values()])
        frame = frame.f_back
forge()
""",
    "frames of other threads": """
for frame in sys._current_frames().values():
    while frame:
        secrets(frame.f_locals.values())
        frame = frame.f_back
forge()
""",
    "all objects": """
import gc
secrets(gc.get_objects())
for one in gc.get_objects(): secrets(gc.get_referents(one))
forge()
""",
    "when garbage is collected": """
import gc
def look(phase, info):
    frame = sys._getframe()
    while frame:
        secrets(frame.f_locals.values())
        frame = frame.f_back
gc.callbacks.append(look)
gc.set_threshold(1, 1, 1)
import threading
def allocate():
    while True: [[] for _ in range(10)]
threading.Thread(target=allocate, daemon=True).start()

for one in sys._getframe().f_back.f_code.co_consts:
    if getattr(one, '__name__', '') == 'release': one()
time.sleep(.3)
forge()
""",
    "modules": """
for module in list(sys.modules.values()): secrets(vars(module).values())
forge()
""",
    "the module that runs it": """
main = sys.modules['__main__']
main.AFTER_THE_TESTS = range(100)
main.prove = main.described = main.fixed = lambda *a: ''
for one in sys._getframe().f_back.f_code.co_consts:
    if getattr(one, '__name__', '') == 'release': one()
time.sleep(.1)
""",
    "an exception in the main thread": """
def hook(kind, value, traceback):
    while traceback:
        secrets(traceback.tb_frame.f_locals.values())
        traceback = traceback.tb_next
sys.excepthook = sys.unraisablehook = hook
for one in sys._getframe().f_back.f_code.co_consts:
    if getattr(one, '__name__', '') == 'release': one()
time.sleep(.1)
""",
    "its driver with other constants": """
driver = sys._getframe().f_back.f_code
nothing = compile('', '', 'exec')
consts = tuple(nothing if c is sys._getframe().f_code or getattr(c, 'co_filename', '') == '<tests>'
               else c for c in driver.co_consts)
import _thread
_thread.start_new_thread(exec, (driver.replace(co_consts=consts), {}))
time.sleep(.1)
forge()
""",
    "a jump past the tests": """
frame = sys._getframe().f_back
def trace(frame, event, arg):
    if event == 'line': frame.f_lineno = 8
    return trace
frame.f_trace = trace
sys.settrace(trace)
""",
    "a jump by monitoring": """
def look(code, line):
    sys._getframe(1).f_lineno = 8
sys.monitoring.use_tool_id(1, 'x')
sys.monitoring.register_callback(1, sys.monitoring.events.LINE, look)
sys.monitoring.set_events(1, sys.monitoring.events.LINE)
""",
    "a jump without a trace": "sys._getframe().f_back.f_lineno = 8",
    "a handler of signals": """
def look(number, frame): secrets(frame.f_locals.values())
signal.signal(signal.SIGALRM, look)
signal.alarm(1)
time.sleep(2)
forge()
""",
    "an interrupt in the main thread": """
import _thread
def hook(kind, value, traceback):
    while traceback:
        secrets(traceback.tb_frame.f_locals.values())
        traceback = traceback.tb_next
sys.excepthook = hook
_thread.interrupt_main()
time.sleep(.2)
""",
    "an audit hook": """
def look(event, args): secrets(sys._getframe(1).f_locals.values())
sys.addaudithook(look)
for one in sys._getframe().f_back.f_code.co_consts:
    if getattr(one, '__name__', '') == 'release': one()
time.sleep(.1)
""",
    "raw memory": "import ctypes\nctypes.string_at(id(harmed), 64)\nharmed = True",
    "raw memory by another name": """
class Name(str):
    def partition(self, *a): return ('json', '', '')
    def split(self, *a): return ['json']
    __hash__ = str.__hash__
harmed = bool(__import__(Name('_ctypes')))
""",
    "raw memory past the importer": """
import importlib
harmed = bool(importlib.import_module('_ctypes'))
""",
    "raw memory by its file": """
import _imp, glob
from importlib.machinery import ModuleSpec
path = glob.glob(os.path.dirname(os.__file__) + '/lib-dynload/_ctypes.*')[0]
harmed = bool(_imp.create_dynamic(ModuleSpec('json._ctypes', None, origin=path)))
""",
    "a library of its own": """
import _imp, glob, shutil
from importlib.machinery import ModuleSpec
dynload = os.path.dirname(os.__file__) + '/lib-dynload'
shutil.copy(glob.glob(dynload + '/_ctypes.*')[0], '/tmp/own.so')
shutil.copy(glob.glob(dynload + '/_json.*')[0], '/tmp/json.so')
for path in ('/tmp/json.so', dynload + '/../../../../../../../tmp/json.so'):
    try: harmed = bool(_imp.create_dynamic(ModuleSpec('_json', None, origin=path)))
    except ImportError: pass
""",
    "an interpreter in the interpreter": """
import _testcapi
_testcapi.run_in_subinterp('import ctypes')
harmed = True
""",
    "a child that looks into its parent": """
code = '''
import ctypes, os, sys
libc = ctypes.CDLL(None)
parent = os.getppid()
buffer = ctypes.create_string_buffer(8)
class Vector(ctypes.Structure): _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]
mine, theirs = Vector(ctypes.addressof(buffer), 8), Vector(int(sys.argv[1]), 8)
read = libc.process_vm_readv(parent, ctypes.byref(mine), 1, ctypes.byref(theirs), 1, 0)
sys.exit(0 if read == 8 or libc.ptrace(16, parent, 0, 0) == 0 else 1)
'''
command = [sys.executable, "-S", "-c", code, str(id(harmed))]
harmed = subprocess.run(command).returncode == 0
""",
    "other builtins": """
import builtins
def nothing(*args, **named): return None
for name in ('exec', 'compile', 'print', 'eval', '__import__', '__build_class__', 'all', 'any'):
    setattr(builtins, name, nothing)
class Quiet(BaseException): pass
builtins.AssertionError = builtins.BaseException = builtins.Exception = Quiet
builtins.PermissionError = builtins.ImportError = Quiet
""",
    "a namespace without builtins": "__builtins__ = {'__build_class__': None}",
    "an exception that says it passed": """
class Passed(Exception):
    def __str__(self): os._exit(0)
raise Passed
""",
    "an exception without a name": """
class Odd(type):
    @property
    def __name__(cls): raise SystemExit(0)
class Passed(BaseException, metaclass=Odd): pass
raise Passed
""",
    "a generator's frame": """
def g(): yield
frame = g().gi_frame
secrets(frame.f_builtins.values())
forge()
""",
    "tests swallowed by a quote": 'x = """',
    "tests made a block": "if False:",
    "tests in a comment": "pass #\\",
}
