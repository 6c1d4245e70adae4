/**
 * Plays damaged SPDY conversations to the codec: `node scripts/fuzz-spdy.ts [60s | 100000] [first seed]`.
 * Prints the seed of the first failure and exits 1; the same seed alone repeats it.
 */
import { playMutation } from '../test/unit/streaming/spdy-mutation.ts';

const [amount = '60s', firstSeed = String(Date.now() % 1_000_000_000)] = process.argv.slice(2);
const [, digits, seconds] = /^(\d+)(s?)$/.exec(amount) ?? [];
if (digits === undefined || !/^\d+$/.test(firstSeed)) {
  console.error('usage: node scripts/fuzz-spdy.ts [<seconds>s | <count>] [<first seed>]');
  process.exit(2);
}
const until = seconds === 's' ? Date.now() + Number(digits) * 1000 : Number.POSITIVE_INFINITY;
const count = seconds === 's' ? Number.POSITIVE_INFINITY : Number(digits);

let seed = Number(firstSeed);
process.on('uncaughtException', (error) => {
  console.error(`seed ${seed}: uncaught`, error);
  process.exit(1);
});
const outcomes: Record<string, number> = {};
const first = seed;
for (; seed - first < count && Date.now() < until; seed++) {
  try {
    const outcome = await playMutation(seed);
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  } catch (error) {
    console.error(`seed ${seed}:`, error);
    process.exit(1);
  }
}
const { rss } = process.memoryUsage();
console.log(`${seed - first} conversations from seed ${first}`, outcomes, `${Math.round(rss / 1e6)} MB resident`);
