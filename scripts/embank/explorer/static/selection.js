// The images that are selected, wherever they are shown; and the grid that the keyboard last stood in.
// @ts-check

export class Selection extends EventTarget {
  constructor() {
    super();
    /** @type {Set<number>} */
    this.ids = new Set();
    /** @type {import("./grid.js").Grid | null} */
    this.grid = null;
  }

  get size() { return this.ids.size; }
  /** @param {number} id */
  has(id) { return this.ids.has(id); }

  /** @param {number} id */
  toggle(id) {
    if (!this.ids.delete(id)) this.ids.add(id);
    this.dispatchEvent(new Event("change"));
  }

  /** @param {Iterable<number>} ids */
  set(ids) {
    this.ids = new Set(ids);
    this.dispatchEvent(new Event("change"));
  }

  clear() { if (this.ids.size) this.set([]); }

  /** What a key acts on: the selected images, or else the one that the keyboard stands on. @returns {number[]} */
  targets() {
    if (this.ids.size) return [...this.ids];
    const picture = this.grid?.root.contains(document.activeElement) ? this.grid.picture : undefined;
    return picture ? [picture.id] : [];
  }
}
