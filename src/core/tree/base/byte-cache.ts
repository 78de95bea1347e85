// A cache bounded by bytes that forgets what was not used lately: two generations, the younger filled first. A hit costs one
// look-up and moves nothing; when the younger one holds half the bytes it becomes the older and that one is dropped.

export class ByteCache<V> {
  private young = new Map<string, { value: V; bytes: number }>();
  private old = new Map<string, { value: V; bytes: number }>();
  private youngBytes = 0;
  private oldBytes = 0;
  private readonly bytesMax: number;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.youngBytes + this.oldBytes;
  }

  get(name: string): V | undefined {
    const entry = this.young.get(name);
    if (entry !== undefined) return entry.value;
    const older = this.old.get(name);
    if (older === undefined) return undefined;
    this.old.delete(name);
    this.oldBytes -= older.bytes;
    this.add(name, older);
    return older.value;
  }

  /** What is larger than half the bound is not kept. */
  set(name: string, value: V, bytes: number): void {
    this.delete(name);
    if (bytes * 2 <= this.bytesMax) this.add(name, { value, bytes });
  }

  delete(name: string): void {
    this.youngBytes -= this.young.get(name)?.bytes ?? 0;
    this.oldBytes -= this.old.get(name)?.bytes ?? 0;
    this.young.delete(name);
    this.old.delete(name);
  }

  private add(name: string, entry: { value: V; bytes: number }): void {
    if ((this.youngBytes + entry.bytes) * 2 > this.bytesMax) {
      this.old = this.young;
      this.oldBytes = this.youngBytes;
      this.young = new Map();
      this.youngBytes = 0;
    }
    this.young.set(name, entry);
    this.youngBytes += entry.bytes;
  }
}
