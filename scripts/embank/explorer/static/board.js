// The scheme board: a column a class. Dragging merges; names are edited in place; the rest is in each column's menu.
// @ts-check
import { askMerge, askSplit } from "./questions.js";
import { Column } from "./column.js";
import { counted, h, one } from "./dom.js";
import { dragging } from "./drag.js";
import { passOn } from "./hues.js";
import { inherit } from "./keys.js";
import { lift } from "./lift.js";
import { openMenu } from "./menu.js";
import { toast } from "./toast.js";
import * as server from "./api.js";

/** @typedef {import("./api.js").State} State */

export class Board {
  /** @param {{selection: import("./selection.js").Selection, edit: (act: () => Promise<State>) => Promise<State | undefined>, attempt: (act: () => Promise<State>) => Promise<State>, showClass: (one: import("./api.js").ClassState) => void}} page */
  constructor({ selection, edit, attempt, showClass }) {
    this.selection = selection;
    this.edit = edit;
    this.attempt = attempt;
    this.showClass = showClass;
    /** @type {Column[]} */
    this.columns = [];
    this.revision = -1;
    this.place = h("div.columns", { role: "group", "aria-label": "Classes" });
    this.tray = h("section.column.dropped", { "aria-label": "Dropped classes" });
    this.hint = h("span.quiet.small.grow", {}, "Drag a class onto another to merge them, or images onto a class to relabel them.");
    this.total = h("h2");
    one("#board").append(h("div.strip", {}, this.total, this.hint), this.place);
    // only columns in view ask for their images: two thousand classes are a few requests
    this.sight = new IntersectionObserver(seen => {
      for (const entry of seen) if (entry.isIntersecting) this.wake(this.columns.find(column => column.root === entry.target));
    }, { root: this.place, rootMargin: "0px 300px" });
    dragging(this.place, {
      carried: (start, pointer) => this.carried(start, pointer),
      say: (carried, code) => this.says(carried, code),
      drop: (carried, code) => void this.let(carried, code),
    });
  }

  /** @param {State} state */
  update(state) {
    this.state = state;
    const focused = this.focus(), old = new Map(this.columns.map(column => [column.state.name, column]));
    const names = new Set(state.classes.map(each => each.name));
    this.columns = state.classes.map(each => {
      const before = this.columns[each.code]; // of a class under a new name
      const column = old.get(each.name) ?? (before && !names.has(before.state.name) && old.has(before.state.name) ? before : new Column(each, this.acts(), this.selection));
      old.delete(column.state.name);
      column.update(each);
      return column;
    });
    for (const gone of old.values()) { this.sight.unobserve(gone.root); gone.grid.close(); gone.root.remove(); }
    this.arrange(state);
    if (this.revision !== state.revision) {
      this.revision = state.revision;
      for (const column of this.columns) { this.sight.unobserve(column.root); this.sight.observe(column.root); }
    }
    this.total.textContent = counted(state.classes.length, "class", "classes");
    this.columns.forEach((column, i) => column.reach(focused.name ? column.state.name === focused.name : i === 0));
    if (focused.name !== null && !this.place.contains(document.activeElement)) this.refocus(focused);
  }

  /** The same classes with other figures. @param {State} state */
  judged(state) {
    this.state = state;
    this.columns.forEach((column, i) => column.update(state.classes[i]));
  }

  /** Puts columns in order, moving no more than needs to move: a moved element loses its focus and its place. @param {State} state */
  arrange(state) {
    this.columns.forEach((column, i) => {
      if (this.place.children[i] !== column.root) this.place.insertBefore(column.root, this.place.children[i] ?? null);
    });
    const { dropped } = state;
    this.tray.hidden = !dropped.length;
    this.tray.replaceChildren(
      h("div.top", {}, h("b", {}, "Dropped"), h("div.facts", {}, h("span", {}, "left out of all figures"))),
      h("ul", {}, ...dropped.map(each => h("li", {}, h("span", {}, each.name, " ", h("span.quiet.small", {}, each.count.toLocaleString("en"))),
        h("button", { type: "button", on: { click: () => void this.edit(() => server.restore(each.name)) } }, "Restore")))));
    this.place.append(this.tray);
    if (!state.classes.length && !this.nothing) {
      this.nothing = h("div.nothing", {}, h("p", {}, h("b", {}, "No image has a label yet.")), h("p", {}, "Give some under Labelling, or choose another scheme at the top: the folders, a column of a label table, or a scheme file."));
      this.place.prepend(this.nothing);
    } else if (state.classes.length && this.nothing) {
      this.nothing.remove();
      this.nothing = undefined;
    }
  }

  /** Which control of which class has the focus. */
  focus() {
    const column = this.columns.find(each => each.root.contains(document.activeElement));
    const control = document.activeElement instanceof HTMLElement ? document.activeElement.dataset.control ?? "grid" : "grid";
    return { name: column ? column.state.name : null, at: column ? this.columns.indexOf(column) : 0, control };
  }

  /** A class that is gone (merged, dropped) gives the focus to its neighbour. @param {{name: string | null, at: number, control: string}} focused */
  refocus({ name, at, control }) {
    const column = this.columns.find(each => each.state.name === name) ?? this.columns[Math.min(at, this.columns.length - 1)];
    if (!column) return;
    this.activate(column);
    this.control(column, control).focus();
  }

  /** @param {Column} column @param {string} control @returns {HTMLElement} */
  control(column, control) { return column.root.querySelector(`[data-control="${control}"]`) ?? column.grid.root; }

  /** @param {Column} column */
  activate(column) { for (const each of this.columns) each.reach(each === column); }

  /** Asks for a column's images, if it lacks those of this revision. @param {Column | undefined} column */
  async wake(column) {
    if (!column || column.shown === this.revision) return;
    const revision = column.shown = this.revision;
    try {
      const list = await server.imagesOf({ kind: "class", code: column.state.code });
      if (revision === this.revision) column.grid.show(list, { keep: true, empty: "No image is in this class." });
    } catch {
      column.shown = -1;
    }
  }

  /** @returns {import("./column.js").Acts} */
  acts() {
    return {
      lift: column => lift(column, this.columns, (from, onto) => void this.merge(from.state.name, onto.state.name)),
      beside: (column, by, control) => {
        const next = this.columns[this.columns.indexOf(column) + by];
        if (!next) return;
        this.activate(next);
        next.root.scrollIntoView({ block: "nearest", inline: "nearest" });
        this.control(next, control).focus();
      },
      rename: (each, name) => this.attempt(async () => {
        const next = await server.rename(this.code(each.name), name);
        passOn(each.name, name);
        inherit(name, [each.name]);
        return next;
      }),
      active: column => this.activate(column),
      menu: (column, button) => openMenu(button, [
        { name: "Show its images", act: () => this.showClass(column.state) },
        { name: "Rename", key: "F2", act: () => column.edit() },
        { name: "Merge into …", key: "M", disabled: this.columns.length < 2, act: () => askMerge(column.state, this.columns.map(each => each.state), onto => this.merge(column.state.name, onto, this.attempt)) },
        { name: "Split …", act: () => askSplit(column.state, this.state?.columns ?? [], how => this.split(column.state.name, how)) },
        { name: "Drop", act: () => void this.drop(column.state) },
      ]),
    };
  }

  /** @param {number} code */
  named(code) { return this.columns.find(column => column.state.code === code)?.state.name ?? ""; }

  /** The code that a class has when an edit's turn comes: those before it may have changed it. @param {string} name */
  code(name) {
    const found = this.columns.find(column => column.state.name === name);
    if (!found) throw new Error(`There is no class ${name} any more.`);
    return found.state.code;
  }

  /** @param {string} name @param {import("./api.js").Split} how */
  split(name, how) { return this.attempt(() => server.split(this.code(name), how)); }

  /** @param {string} from @param {string} onto @param {(act: () => Promise<State>) => Promise<State | undefined>} [edit] */
  async merge(from, onto, edit = this.edit) {
    const state = await edit(async () => {
      const next = await server.merge([this.code(from), this.code(onto)], onto);
      inherit(onto, [from, onto]);
      return next;
    });
    if (state) this.told(`${from} is merged into ${onto}.`);
  }

  /** @param {import("./api.js").ClassState} one */
  async drop(one) {
    if (await this.edit(() => server.drop(this.code(one.name)))) this.told(`${one.name} is dropped.`);
  }

  /** What was done, with the way back. @param {string} text */
  told(text) { toast(text, { action: { name: "Undo", act: () => void this.edit(server.undo) } }); }

  /** @param {Element} start @param {string} pointer @returns {import("./drag.js").Carried | null} */
  carried(start, pointer) {
    const column = this.columns.find(each => each.root.contains(start));
    if (!column || start.closest("input, .more")) return null;
    const { code, name } = column.state, card = start.closest(".card");
    if (start.closest(".grip")) return { kind: "class", code, name };
    if (pointer === "touch") return null; // a finger elsewhere scrolls
    if (start.closest(".top")) return { kind: "class", code, name };
    if (!(card instanceof HTMLElement) || !card.dataset.id) return null;
    const id = Number(card.dataset.id);
    return { kind: "images", ids: this.selection.has(id) ? [...this.selection.ids] : [id] };
  }

  /** @param {import("./drag.js").Carried} carried @param {number} code */
  says(carried, code) {
    if (carried.kind === "class") return carried.code === code ? null : `Merge ${carried.name} into ${this.named(code)}`;
    return `Relabel ${counted(carried.ids.length, "image")} as ${this.named(code)}`;
  }

  /** @param {import("./drag.js").Carried} carried @param {number} code */
  async let(carried, code) {
    const name = this.named(code);
    if (carried.kind === "class") return this.merge(carried.name, name);
    const state = await this.edit(() => server.relabel(carried.ids, name));
    if (state) this.told(`${counted(carried.ids.length, "image")} ${carried.ids.length === 1 ? "is" : "are"} now ${name}.`);
    return undefined;
  }
}
