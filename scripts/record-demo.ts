// `npm run record-demo`: runs `anylet dev --demo` and draws what it says as docs/demo.svg, which the README shows.
// The demo says nothing that differs from run to run, so the picture changes only when the demo does.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

const fontSize = 14;
const charWidth = 8.43;
const lineHeight = 20;
const margin = 18;
const titleHeight = 34;
const colours = { command: '#e6edf3', prompt: '#7ee787', comment: '#8b949e', output: '#c9d1d9' };

const stateDir = mkdtempSync(join(tmpdir(), 'anylet-demo-'));
try {
  const said = execFileSync(process.execPath, [join(root, 'bin/anylet.js'), 'dev', '--demo', '--state-dir', stateDir], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = ['$ npm start -- --demo', ...said.trimEnd().split('\n')];
  writeFileSync(join(root, 'docs/demo.svg'), terminalPicture(lines.flatMap((line) => wrapped(line, 100))));
} finally {
  rmSync(stateDir, { recursive: true, force: true });
}

/** A terminal window with these lines, as SVG text: selectable, sharp at any size, readable without the font. */
function terminalPicture(lines: readonly string[]): string {
  const columns = Math.max(...lines.map((line) => line.length));
  const width = Math.ceil(columns * charWidth) + 2 * margin;
  const height = titleHeight + lines.length * lineHeight + margin;
  const font = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace";
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    '  <title>A Kubernetes pod from creation to deletion, with nothing installed but Node.js</title>',
    `  <rect width="${width}" height="${height}" rx="8" fill="#0d1117"/>`,
    ...['#ff5f57', '#febc2e', '#28c840'].map(
      (fill, index) => `  <circle cx="${20 + index * 18}" cy="17" r="5.5" fill="${fill}"/>`,
    ),
    `  <g font-family="${font}" font-size="${fontSize}" xml:space="preserve">`,
    ...lines.map((line, index) => textLine(line, titleHeight + (index + 1) * lineHeight - 5)),
    '  </g>',
    '</svg>',
    '',
  ].join('\n');
}

function textLine(line: string, y: number): string {
  const at = `x="${margin}" y="${y}"`;
  // As wide as its columns whatever the font is, so that the window fits.
  const fitted = `textLength="${(line.length * charWidth).toFixed(1)}" lengthAdjust="spacingAndGlyphs"`;
  if (line.startsWith('$ ')) {
    const prompt = `<tspan fill="${colours.prompt}">$</tspan>`;
    return `    <text ${at} ${fitted} fill="${colours.command}">${prompt}${escaped(line.slice(1))}</text>`;
  }
  const fill = line.startsWith('#') ? colours.comment : colours.output;
  return `    <text ${at} ${fitted} fill="${fill}">${escaped(line)}</text>`;
}

/** At spaces, as far as there are any. */
function wrapped(line: string, columns: number): string[] {
  if (line.length <= columns) return [line];
  const space = line.lastIndexOf(' ', columns);
  const cut = space <= 0 ? columns : space;
  const start = line.startsWith('#') ? '# ' : '  ';
  return [line.slice(0, cut), ...wrapped(start + line.slice(cut).trimStart(), columns)];
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
