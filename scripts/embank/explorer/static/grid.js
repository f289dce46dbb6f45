// A grid of images of which only those in view exist: ten thousand scroll like ten. One stop of the Tab key; arrows move in it.
// @ts-check
import { h } from "./dom.js";
import { photo, showImage } from "./photo.js";

/**
 * @typedef {import("./lists.js").ImageList} ImageList
 * @typedef {import("./lists.js").Picture} Picture
 * @typedef {{label: string, width: number, extra: number, square?: boolean,
 *   card: (picture: Picture, grid: Grid) => import("./dom.js").Child[], empty?: import("./dom.js").Child}} Look
 *   width: of a card at least; extra: height below its picture
 */

const AHEAD = 2; // rows drawn beyond the view
const GAP = 8;
let made = 0;

export class Grid {
  /** @param {Look} look @param {import("./selection.js").Selection} selection */
  constructor(look, selection) {
    this.look = look;
    this.selection = selection;
    this.name = `grid-${made++}`;
    this.active = 0;
    this.anchor = 0;
    /** @type {Map<number, HTMLElement>} */
    this.cards = new Map();
    /** @type {Map<number, HTMLElement>} */
    this.photos = new Map(); // of the list before: an edit makes no thumbnail blink
    /** @type {ImageList | null} */
    this.list = null;
    this.sheet = h("div.sheet", { role: "presentation" });
    this.nothing = h("div.nothing", { hidden: true });
    this.root = h("div.grid", {
      role: "listbox", "aria-multiselectable": "true", "aria-label": look.label, tabindex: 0, id: this.name,
      on: {
        scroll: () => this.draw(),
        keydown: (/** @type {KeyboardEvent} */ event) => this.key(event),
        click: (/** @type {MouseEvent} */ event) => this.click(event),
        dblclick: () => { if (this.picture) showImage(this.picture); },
        focus: () => { selection.grid = this; this.mark(); },
      },
    }, this.sheet, this.nothing);
    this.watch = new ResizeObserver(() => this.draw());
    this.watch.observe(this.root);
    this.marking = () => this.mark();
    selection.addEventListener("change", this.marking);
  }

  /** Lets go of what would keep it in memory. */
  close() {
    this.watch.disconnect();
    this.selection.removeEventListener("change", this.marking);
  }

  /** The thumbnail of an image, the same element as before where there was one. @param {Picture} picture */
  photo(picture) {
    const kept = this.photos.get(picture.id);
    this.photos.delete(picture.id);
    return kept ?? photo(picture);
  }

  /** Shows another list, from its start (or, keep: where it stood). @param {ImageList} list @param {{keep?: boolean, empty?: import("./dom.js").Child}} [how] */
  show(list, { keep = false, empty = this.look.empty ?? "No images here." } = {}) {
    this.list = list;
    list.onPage = () => this.list === list && this.draw();
    if (!keep) { this.root.scrollTop = 0; this.active = this.anchor = 0; }
    this.active = Math.max(0, Math.min(this.active, list.total - 1));
    this.photos.clear();
    for (const card of this.cards.values()) {
      const box = card.querySelector(".photo");
      if (keep && card.dataset.id && box instanceof HTMLElement) this.photos.set(Number(card.dataset.id), box);
      card.remove();
    }
    this.cards.clear();
    this.nothing.hidden = list.total > 0;
    this.nothing.replaceChildren(...(list.total ? [] : [empty instanceof Node ? empty : String(empty)]));
    this.draw();
  }

  get columns() { return Math.max(1, Math.floor((this.root.clientWidth - GAP) / (this.look.width + GAP))); }

  draw() {
    const { list } = this, inside = this.root.clientWidth - GAP;
    if (!list || inside <= 0) return;
    const columns = this.columns, width = inside / columns - GAP, height = width * (this.look.square === false ? .75 : 1) + this.look.extra;
    const row = height + GAP, rows = Math.ceil(list.total / columns);
    this.row = row;
    this.sheet.style.height = `${rows * row + GAP}px`;
    const from = Math.max(0, Math.floor(this.root.scrollTop / row) - AHEAD) * columns;
    const to = Math.min(list.total, (Math.ceil((this.root.scrollTop + this.root.clientHeight) / row) + AHEAD) * columns);
    list.need(from, to);
    for (const [i, card] of this.cards) if (i < from || i >= to) { card.remove(); this.cards.delete(i); }
    for (let i = from; i < to; i++) {
      const card = this.cards.get(i) ?? this.make(i), picture = list.at(i);
      if (picture && !card.dataset.id) this.fill(card, picture);
      card.style.width = `${width}px`;
      card.style.height = `${height}px`;
      card.style.transform = `translate(${GAP + (i % columns) * (width + GAP)}px, ${GAP + Math.floor(i / columns) * row}px)`;
    }
    this.mark();
  }

  /** @param {number} i */
  make(i) {
    const card = h("div.card", { role: "option", id: `${this.name}-${i}`, "aria-setsize": this.list?.total ?? 0, "aria-posinset": i + 1, "aria-selected": "false", "data-at": i });
    this.cards.set(i, card);
    // in order, so that a screen reader meets them as they are seen
    const next = [...this.cards.keys()].filter(other => other > i).sort((a, b) => a - b)[0];
    this.sheet.insertBefore(card, next === undefined ? null : this.cards.get(next) ?? null);
    return card;
  }

  /** @param {HTMLElement} card @param {Picture} picture */
  fill(card, picture) {
    card.dataset.id = String(picture.id);
    card.replaceChildren(...this.look.card(picture, this).filter(child => child instanceof Node));
  }

  mark() {
    for (const [i, card] of this.cards) {
      const id = Number(card.dataset.id);
      card.setAttribute("aria-selected", String(card.dataset.id !== undefined && this.selection.has(id)));
      card.classList.toggle("active", i === this.active);
    }
    const current = this.cards.get(this.active);
    if (current) this.root.setAttribute("aria-activedescendant", current.id);
    else this.root.removeAttribute("aria-activedescendant");
  }

  /** The image that the keyboard stands on. @returns {Picture | undefined} */
  get picture() { return this.list?.at(this.active); }

  /** @param {number} i */
  go(i) {
    if (!this.list?.total) return;
    this.active = Math.max(0, Math.min(i, this.list.total - 1));
    const top = Math.floor(this.active / this.columns) * (this.row ?? 0);
    if (top < this.root.scrollTop) this.root.scrollTop = top;
    const bottom = top + (this.row ?? 0) + GAP - this.root.clientHeight;
    if (bottom > this.root.scrollTop) this.root.scrollTop = bottom;
    this.draw();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.altKey || !this.list?.total) return;
    const page = Math.max(1, Math.floor(this.root.clientHeight / (this.row ?? 1))) * this.columns;
    /** @type {Record<string, number>} */
    const ways = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns, ArrowDown: this.columns, PageUp: -page, PageDown: page, Home: -Infinity, End: Infinity };
    const way = ways[event.key];
    if (way !== undefined && !(event.ctrlKey || event.metaKey)) {
      if (!event.shiftKey) this.anchor = Math.max(0, Math.min(this.active + way, this.list.total - 1));
      this.go(this.active + way);
      if (event.shiftKey) void this.range();
    } else if (event.key === " ") {
      this.anchor = this.active;
      if (this.picture) this.selection.toggle(this.picture.id);
    } else if (event.key === "Enter") {
      if (this.picture) showImage(this.picture);
    } else if (event.key.toLowerCase() === "a" && (event.ctrlKey || event.metaKey)) {
      void this.all();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {MouseEvent} event */
  click(event) {
    const card = event.target instanceof Element ? event.target.closest(".card") : null;
    if (!(card instanceof HTMLElement) || !card.dataset.id || (event.target instanceof Element && event.target.closest("button"))) return;
    this.active = Number(card.dataset.at);
    if (event.shiftKey) void this.range();
    else {
      this.anchor = this.active;
      this.selection.toggle(Number(card.dataset.id));
    }
    this.mark();
  }

  async range() {
    const ids = await this.list?.ids();
    if (ids) this.selection.set(ids.slice(Math.min(this.anchor, this.active), Math.max(this.anchor, this.active) + 1));
  }

  async all() {
    const ids = await this.list?.ids();
    if (ids) this.selection.set(ids);
  }
}
