/** More of these at a time are not remembered: what is common comes back soon. */
const mostRemembered = 10_000;
const longestText = 64;

/**
 * Keeps one copy of values that many objects have in common: the words in their fields and what their field managers
 * own. Ten thousand pods of one template would else hold ten thousand copies of each.
 */
export class Interning {
  readonly #texts = new Map<string, string>();
  readonly #values = new Map<string, object>();

  /** The one copy of a short text. */
  text(text: string): string {
    if (text.length > longestText) return text;
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    if (this.#texts.size >= mostRemembered) this.#texts.clear();
    this.#texts.set(text, text);
    return text;
  }

  /** The one copy of a JSON value, which nobody may change. */
  value<T extends object>(value: T): T {
    const key = JSON.stringify(value);
    const known = this.#values.get(key);
    if (known !== undefined) return known as T;
    if (this.#values.size >= mostRemembered) this.#values.clear();
    this.#values.set(key, value);
    return value;
  }
}
