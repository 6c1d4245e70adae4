import type { FileHandle } from 'node:fs/promises';

const newline = 0x0a;
const blockSize = 64 * 1024;

/**
 * Where the last `lines` complete lines of a file begin. What follows the last newline is not a line yet, and is not
 * counted. Reads backwards from the end, no more than it must.
 */
export async function tailStart(file: FileHandle, size: number, lines: number): Promise<number> {
  const block = Buffer.allocUnsafe(Math.min(blockSize, size));
  let newlinesLeft = lines;
  for (let end = size; end > 0;) {
    const start = Math.max(0, end - blockSize);
    const { bytesRead } = await file.read(block, 0, end - start, start);
    for (
      let at = block.subarray(0, bytesRead).lastIndexOf(newline);
      at >= 0;
      at = at === 0 ? -1 : block.lastIndexOf(newline, at - 1)
    ) {
      // One newline more than lines are wanted: the first line wanted begins after it.
      if (newlinesLeft === 0) return start + at + 1;
      newlinesLeft--;
    }
    end = start;
  }
  return 0;
}
