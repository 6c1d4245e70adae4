/** Where the steps of a start are shown. */
export interface ProgressStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
}

export interface Progress {
  /** Says what goes on from now. */
  step(text: string): void;
  /** Takes the line away again. */
  done(): void;
}

const frames = '⠋ ⠙ ⠹ ⠸ ⠼ ⠴ ⠦ ⠧ ⠇ ⠏'.split(' ');

/** One line that turns and is gone at the end, on a terminal; a plain line for each step elsewhere. */
export function showProgress(stream: ProgressStream): Progress {
  if (stream.isTTY !== true) return { step: (text) => void stream.write(`${text}\n`), done: () => {} };
  let text = '';
  let frame = 0;
  const draw = () => void stream.write(`\r\u001B[2K${frames[frame++ % frames.length]} ${text}`);
  const timer = setInterval(draw, 80);
  timer.unref();
  return {
    step(next) {
      text = next;
      draw();
    },
    done() {
      clearInterval(timer);
      stream.write('\r\u001B[2K');
    },
  };
}
