// Blowfish with the expensive key schedule of bcrypt: only what reading OpenSSH keys needs. The initial state is the fraction
// of pi in binary, computed at the first use rather than kept as a table.

const rounds = 16;
const subkeys = rounds + 2;
const boxWords = 4 * 256;

let initial: Uint32Array | undefined;

/** The first words of the fraction of pi, by Machin's formula: pi = 16 atan(1/5) - 4 atan(1/239). */
function initialState(): Uint32Array {
  if (initial !== undefined) return initial;
  const bits = BigInt((subkeys + boxWords) * 32);
  const guard = 64n;
  const one = 1n << (bits + guard);
  const fraction = ((16n * arcTangentOfInverse(5n, one) - 4n * arcTangentOfInverse(239n, one)) % one) >> guard;
  const words = Buffer.from(fraction.toString(16).padStart(Number(bits / 4n), '0'), 'hex');
  initial = new Uint32Array(subkeys + boxWords);
  for (let i = 0; i < initial.length; i++) initial[i] = words.readUInt32BE(i * 4);
  return initial;
}

function arcTangentOfInverse(x: bigint, one: bigint): bigint {
  let sum = 0n;
  let sign = 1n;
  for (let power = one / x, n = 1n; power > 0n; power /= x * x, n += 2n, sign = -sign) sum += (sign * power) / n;
  return sum;
}

/** Bytes as big-endian words; the length is a multiple of 4. */
export function wordsOf(bytes: Buffer): Uint32Array {
  return Uint32Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readUInt32BE(i * 4));
}

export class Blowfish {
  private readonly p: Uint32Array;
  private readonly s: Uint32Array;
  /** The block at work: kept here so that the inner loop makes no garbage. */
  private left = 0;
  private right = 0;

  constructor() {
    const state = initialState();
    this.p = state.slice(0, subkeys);
    this.s = state.slice(subkeys);
  }

  /** Mixes a key, and a salt when given, into the state. */
  expand(key: Uint32Array, salt?: Uint32Array): void {
    const { p, s } = this;
    for (let i = 0; i < subkeys; i++) p[i] = (p[i] as number) ^ (key[i % key.length] as number);
    this.left = 0;
    this.right = 0;
    let at = 0;
    for (const target of [p, s])
      for (let i = 0; i < target.length; i += 2) {
        if (salt !== undefined) {
          this.left ^= salt[at++ % salt.length] as number;
          this.right ^= salt[at++ % salt.length] as number;
        }
        this.encipher();
        target[i] = this.left;
        target[i + 1] = this.right;
      }
  }

  /** Encrypts whole blocks of two words in place. */
  encrypt(words: Uint32Array): void {
    for (let i = 0; i < words.length; i += 2) {
      this.left = words[i] as number;
      this.right = words[i + 1] as number;
      this.encipher();
      words[i] = this.left;
      words[i + 1] = this.right;
    }
  }

  private encipher(): void {
    const { p, s } = this;
    let left = this.left;
    let right = this.right;
    for (let i = 0; i < rounds; i++) {
      left ^= p[i] as number;
      const ab = ((s[left >>> 24] as number) + (s[256 + ((left >>> 16) & 255)] as number)) | 0;
      const abc = ab ^ (s[512 + ((left >>> 8) & 255)] as number);
      const mixed = right ^ ((abc + (s[768 + (left & 255)] as number)) | 0);
      right = left;
      left = mixed;
    }
    this.left = right ^ (p[rounds + 1] as number);
    this.right = left ^ (p[rounds] as number);
  }
}
