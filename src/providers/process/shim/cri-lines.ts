/** containerd's longest piece of a line in a log file, in bytes. */
const longestPiece = 16 * 1024;

/**
 * Makes the CRI log format of one stream's bytes: `<RFC 3339 with nanoseconds> <stream> <F|P> <text>`, one line
 * each. A line longer than 16 KiB is cut into pieces marked P, its last piece being F; a line that the container
 * never ended is P too.
 */
export class CriLines {
  readonly #stream: 'stdout' | 'stderr';
  /** The begun line, as Latin-1, through which bytes pass unchanged. */
  #begun = '';

  constructor(stream: 'stdout' | 'stderr') {
    this.#stream = stream;
  }

  /** The log lines that `chunk` completes; `time` as {@link timestamp} makes it. */
  push(chunk: Buffer, time: string): Buffer {
    const lines = (this.#begun + chunk.toString('latin1')).split('\n');
    const begun = lines.pop() as string;
    const full = `${time} ${this.#stream} F `;
    let text: string;
    if (lines.some((line) => line.length > longestPiece)) {
      text = lines.map((line) => `${this.#pieces(line, time)}${full}${lastPiece(line)}\n`).join('');
    } else {
      // One join: a chunk may hold tens of thousands of lines.
      text = lines.length === 0 ? '' : `${full}${lines.join(`\n${full}`)}\n`;
    }
    text += this.#pieces(begun, time);
    this.#begun = lastPiece(begun);
    return Buffer.from(text, 'latin1');
  }

  /** What is left when the stream has ended. */
  end(time: string): Buffer {
    const rest = this.#begun;
    this.#begun = '';
    return Buffer.from(rest === '' ? '' : `${time} ${this.#stream} P ${rest}\n`, 'latin1');
  }

  /** All pieces of a line but the last. */
  #pieces(line: string, time: string): string {
    let text = '';
    for (let at = 0; line.length - at > longestPiece; at += longestPiece) {
      text += `${time} ${this.#stream} P ${line.slice(at, at + longestPiece)}\n`;
    }
    return text;
  }
}

function lastPiece(line: string): string {
  return line.length <= longestPiece ? line : line.slice(Math.floor((line.length - 1) / longestPiece) * longestPiece);
}

/** Now, as the log format has it: nine digits of a second, of which the last three are always 0. */
export function timestamp(): string {
  const microseconds = Math.round((performance.timeOrigin + performance.now()) * 1000);
  const date = new Date(Math.floor(microseconds / 1000)).toISOString();
  return `${date.slice(0, -1)}${String(microseconds % 1000).padStart(3, '0')}000Z`;
}
