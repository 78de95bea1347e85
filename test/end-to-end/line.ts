// A switch between network namespaces whose lines are long and lose packets, also where the kernel has no netem: a process that holds a
// TAP device in each namespace and passes frames on as late as it is told, but for those it drops.

import { type ChildProcess, spawn } from 'node:child_process';
import { Running } from './device.ts';

/** Every frame is that late, and so many of a hundred are lost, in each direction. */
export interface LineQuality {
  delayMs: number;
  lossPercent: number;
}

export interface LineCounts {
  passed: number;
  lost: number;
}

const answerMs = 20_000;

/** A line of input each: `add NAMESPACE`, `line DELAY_MS LOSS_PERCENT`, `count`. Frames go to whom their receiver was seen at, else to all. */
const program = `
import ctypes, collections, fcntl, os, random, select, struct, sys, time
TUNSETIFF, TAP_WITHOUT_HEADER, NEW_NETWORK, frame_max, frames_waiting_max = 0x400454ca, 0x1002, 0x40000000, 65536, 20000
libc = ctypes.CDLL(None, use_errno=True)
def enter(fd):
    if libc.setns(fd, NEW_NETWORK) != 0: raise OSError(ctypes.get_errno(), 'setns')
def open_wire(name):
    own = os.open('/proc/self/ns/net', os.O_RDONLY)
    other = os.open('/run/netns/' + name, os.O_RDONLY)
    enter(other)
    try:
        wire = os.open('/dev/net/tun', os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(wire, TUNSETIFF, struct.pack('16sH22x', b'wire', TAP_WITHOUT_HEADER))
    finally:
        enter(own)
        os.close(own)
        os.close(other)
    return wire
wires, places, late = [], {}, collections.deque()
delay, loss, passed, lost = 0.0, 0.0, 0, 0
poll = select.poll()
poll.register(0, select.POLLIN)
def obey(line):
    global delay, loss
    words = line.split()
    if words[0] == 'add':
        wire = open_wire(words[1])
        wires.append(wire)
        poll.register(wire, select.POLLIN)
    elif words[0] == 'line':
        delay, loss = float(words[1]) / 1000, float(words[2]) / 100
    print(*words, passed, lost, flush=True)
def take(wire):
    global lost
    for _ in range(64):
        try: frame = os.read(wire, frame_max)
        except BlockingIOError: return
        places[frame[6:12]] = wire
        if random.random() < loss or len(late) >= frames_waiting_max: lost += 1
        else: late.append((time.monotonic() + delay, wire, frame))
def give(wire, frame):
    try: os.write(wire, frame)
    except OSError: pass # it is down
rest = b''
while True:
    wait = None if not late else max(0, (late[0][0] - time.monotonic()) * 1000)
    for fd, _ in poll.poll(wait):
        if fd != 0:
            take(fd)
            continue
        read = os.read(0, 65536)
        if not read: sys.exit(0)
        *lines, rest = (rest + read).split(b'\\n')
        for line in lines: obey(line.decode())
    while late and late[0][0] <= time.monotonic():
        _, wire, frame = late.popleft()
        passed += 1
        to = places.get(frame[0:6])
        for other in [to] if to is not None else wires:
            if other != wire: give(other, frame)`;

export class Line {
  private readonly child: ChildProcess;
  private readonly running: Running;

  constructor() {
    this.child = spawn('python3', ['-c', program], { stdio: 'pipe' });
    this.running = new Running(this.child);
  }

  /** A device `wire` in that namespace. */
  async add(namespace: string): Promise<void> {
    await this.tell(`add ${namespace}`);
  }

  async set({ delayMs, lossPercent }: LineQuality): Promise<void> {
    await this.tell(`line ${delayMs} ${lossPercent}`);
  }

  /** Frames since the start. */
  async counts(): Promise<LineCounts> {
    const [passed = 0, lost = 0] = (await this.tell('count')).split(' ').map(Number);
    return { passed, lost };
  }

  async close(): Promise<void> {
    await this.running.kill();
  }

  /** What is answered behind the words. */
  private async tell(words: string): Promise<string> {
    const from = this.running.output.length;
    this.child.stdin?.write(`${words}\n`);
    await this.running.waitFor(new RegExp(`^[^]{${from}}${words} .*\n`), answerMs);
    return this.running.output.slice(from + words.length + 1).trim();
  }
}
