// A number of errno.h that only this protocol answers with.

export class ProtocolError extends Error {
  readonly number: number;

  constructor(number: number, message: string) {
    super(message);
    this.number = number;
  }
}
