// A bounded memory of names, oldest forgotten first: what was verified once need not be verified again.

export class RecentSet {
  private readonly names = new Set<string>();
  private readonly limit: number;

  constructor(limit: number) {
    this.limit = limit;
  }

  has(name: string): boolean {
    return this.names.has(name);
  }

  add(name: string): void {
    if (this.names.has(name)) return;
    const oldest = this.names.values().next();
    if (this.names.size >= this.limit && !oldest.done) this.names.delete(oldest.value);
    this.names.add(name);
  }
}
