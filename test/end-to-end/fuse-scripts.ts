// Shell scripts that end well where a mount behaves as a local disk. Each begins in an empty directory of its own.

interface Script {
  script: string;
  /** Without which it is left out. */
  tools?: string[];
  /** Maps files into memory to be written. */
  needsMap?: boolean;
}

/** `data` is a file of 20 MiB. */
export const shellScripts = (data: string): Readonly<Record<string, Script>> => ({
  'copies 20 MiB and reads them back': {
    script: `cp ${data} a; cmp ${data} a; cat ${data} >> a; cmp <(cat ${data} ${data}) a`,
  },
  'writes and reads past the page cache': {
    script: `dd if=${data} of=d bs=1M oflag=direct status=none; dd if=d bs=512K iflag=direct status=none | cmp - ${data}`,
  },
  'renames, links and removes': {
    script: `echo 1 > f; mv f g; ln g h; ln -s h s; test $(stat -c %h g) = 2; test "$(cat s)" = 1; mkdir -p x/y; mv h x/y/h
      rm g; test "$(cat x/y/h)" = 1; no cat s 2>/dev/null; no rmdir x 2>/dev/null; no ln x z 2>/dev/null; echo 2 > o; mv -T o x/y/h; test $(cat x/y/h) = 2
      mv -n x/y/h s; rm -r x s; test -z "$(ls -A)"`,
  },
  'changes modes, owners, times and sizes': {
    script: `touch f; chmod 640 f; chown 5:6 f; test "$(stat -c '%a %u %g' f)" = '640 5 6'; truncate -s 5000 f; test $(stat -c %s f) = 5000
      truncate -s 10 f; echo hello > f; test $(stat -c %s f) = 6; touch -d '1965-01-02 03:04:05.678901234 UTC' f
      test "$(TZ=UTC stat -c %y f)" = '1965-01-02 03:04:05.678901234 +0000'; mkfifo p; mknod c c 1 3; test "$(stat -c '%F %t %T' c)" = 'character special file 1 3'
      chmod 4755 f; setpriv --reuid 7 --regid 7 --clear-groups true; test $(stat -c %a f) = 4755; test $(stat -c %W f) -gt 0`,
    tools: ['setpriv'],
  },
  'takes set-user-id away when somebody else writes': {
    script: `echo a > f; chmod 6777 f; setpriv --reuid 7 --regid 7 --clear-groups sh -c 'echo b >> f'; test $(stat -c %a f) = 777
      chmod 4777 f; setpriv --reuid 7 --regid 7 --clear-groups sh -c 'echo b > f'; test $(stat -c %a f) = 777; chmod 4755 f; chown 5 f; test $(stat -c %a f) = 755`,
    tools: ['setpriv'],
  },
  'lets the kernel check who may': {
    script: `echo a > f; chmod 600 f; mkdir t; chmod 1777 t; touch t/mine; as="setpriv --reuid 7 --regid 7 --clear-groups"
      no $as cat f 2>/dev/null; no $as touch x 2>/dev/null; $as touch t/theirs; test $(stat -c %u t/theirs) = 7; no $as rm -f t/mine 2>/dev/null; $as rm t/theirs`,
    tools: ['setpriv'],
  },
  'packs and unpacks a tree': {
    script: `mkdir t; for i in $(seq 300); do echo $i > t/$i; done; mkdir -p t/a/b/c; ln -s ../1 t/a/l; tar cf t.tar t; mkdir u; tar xf t.tar -C u
      diff -r t u/t; test $(ls t | wc -l) = 301; test $(find . | wc -l) = 613; rm -r t u`,
    tools: ['tar'],
  },
  'keeps extended attributes': {
    script: `touch f; setfattr -n user.a -v one f; setfattr -n trusted.b -v two f; test "$(getfattr --only-values -n user.a f)" = one
      getfattr -m - -d f | grep -q trusted.b; setfattr -x user.a f; no getfattr -n user.a f 2>/dev/null; cp -a f g; getfattr -n trusted.b g >/dev/null`,
    tools: ['setfattr', 'getfattr'],
  },
  'makes holes and finds them': {
    script: `fallocate -l 1M f; test $(stat -c %s f) = 1048576; fallocate -n -o 1M -l 1M f; test $(stat -c %s f) = 1048576
      head -c 65536 /dev/zero | tr '\\0' x | dd of=f conv=notrunc status=none; fallocate -p -o 4096 -l 8192 f
      test $(dd if=f bs=4096 skip=1 count=2 status=none | tr -d '\\0' | wc -c) = 0; cp --sparse=always f g; cmp f g; no fallocate -c -o 0 -l 4096 f 2>/dev/null`,
    tools: ['fallocate'],
  },
  locks: {
    script: `touch f; exec 5>f; flock 5; no flock -n f true; flock -u 5; flock -n f true`,
    tools: ['flock'],
  },
  'knows nameless files, files without names any more, and places of data': {
    script: `python3 - <<'END'
import os, fcntl
d = os.open('.', os.O_TMPFILE | os.O_RDWR, 0o600)
os.write(d, b'nameless')
os.link(f'/proc/self/fd/{d}', 'named', dst_dir_fd=os.open('.', os.O_RDONLY))
os.close(d)
assert open('named').read() == 'nameless'
d = os.open('gone', os.O_CREAT | os.O_RDWR)
os.write(d, b'abc'); os.unlink('gone'); os.lseek(d, 0, 0)
assert os.read(d, 3) == b'abc' and os.fstat(d).st_nlink == 0
os.ftruncate(d, 1); assert os.fstat(d).st_size == 1
os.close(d)
d = os.open('sparse', os.O_CREAT | os.O_RDWR)
os.pwrite(d, b'x', 1 << 20)
assert os.lseek(d, 0, os.SEEK_DATA) > 0 and os.lseek(d, 0, os.SEEK_HOLE) == 0
fcntl.lockf(d, fcntl.LOCK_EX)
os.fsync(d); os.close(d)
d = os.open('.', os.O_RDONLY); os.fsync(d); os.close(d)
try: open('x' * 256, 'w'); raise SystemExit('a name too long')
except OSError as e: assert e.errno == 36, e
END`,
    tools: ['python3'],
  },
  'lists each entry of a large directory once, whatever goes meanwhile': {
    script: `python3 - <<'END'
import os
os.mkdir('l')
for i in range(3000): os.close(os.open(f'l/{"n" * (i % 100)}{i}', os.O_CREAT))
assert len(os.listdir('l')) == 3000
seen = []
with os.scandir('l') as entries:
    for i, e in enumerate(entries):
        seen.append(e.name)
        if i % 2: os.unlink(f'l/{e.name}')
assert len(seen) == len(set(seen)) == 3000
assert len(os.listdir('l')) == 1500
END`,
    tools: ['python3'],
  },
  'maps files into memory': {
    script: `python3 - <<'END'
import mmap
f = open('m', 'w+b'); f.truncate(10000)
m = mmap.mmap(f.fileno(), 10000); m[5000:5005] = b'hello'; m.flush(); m.close()
assert open('m', 'rb').read()[5000:5005] == b'hello'
END
      cp /bin/true t; ./t`,
    tools: ['python3'],
    needsMap: true,
  },
});
