// What is selected, and which number gives it which class. Keys 1 to 9 work wherever no text is typed.
// @ts-check
import { ask } from "./dialog.js";
import { counted, h, one, typing } from "./dom.js";
import { byKey, classOf, keyOf } from "./keys.js";
import { openMenu } from "./menu.js";
import { shownView } from "./tabs.js";
import { toast } from "./toast.js";
import * as server from "./api.js";

/** @typedef {import("./api.js").State} State */

export class Relabel {
  /** @param {{selection: import("./selection.js").Selection, edit: (act: () => Promise<State>) => Promise<State | undefined>, attempt: (act: () => Promise<State>) => Promise<State>, like: (id: number) => void, showFlips: () => void}} page */
  constructor({ selection, edit, attempt, like, showFlips }) {
    this.selection = selection;
    this.edit = edit;
    this.attempt = attempt;
    this.like = like;
    this.showFlips = showFlips;
    /** @type {string[]} */
    this.names = [];
    this.count = h("b", { "aria-live": "polite" });
    this.legend = h("div.legend", { role: "group", "aria-label": "Give the class" });
    this.more = h("button", { type: "button", "aria-haspopup": "menu", "aria-expanded": "false", on: { click: () => this.menu() } }, "Other ▾");
    this.similar = h("button", { type: "button", on: { click: () => this.likeIt() } }, "Similar ", h("kbd", {}, "S"));
    this.clear = h("button.plain", { type: "button", on: { click: () => selection.clear() } }, "Clear ", h("kbd", {}, "Esc"));
    this.tools = h("div.row", {}, this.more, this.similar, this.clear);
    one("#relabel").append(this.count, this.legend, this.tools);
    selection.addEventListener("change", () => this.draw());
    addEventListener("keydown", event => this.key(event));
    this.draw();
  }

  /** @param {State} state */
  update(state) {
    this.names = byKey(state.classes.map(each => each.name));
    this.legend.replaceChildren(...this.names.filter(keyOf).map(name => h("button", { type: "button", title: `Key ${keyOf(name)}: ${name}`, on: { click: () => void this.give(name) } }, h("kbd", {}, keyOf(name)), h("span", {}, name))));
    this.draw();
  }

  draw() {
    const n = this.selection.size;
    this.count.textContent = n ? `${counted(n, "image")} selected` : "Nothing selected";
    this.tools.hidden = !n;
    this.similar.hidden = n !== 1;
    for (const each of this.legend.children) /** @type {HTMLButtonElement} */ (each).disabled = !n;
  }

  menu() {
    openMenu(this.more, [
      ...this.names.map(name => ({ name, key: keyOf(name)?.toString(), act: () => void this.give(name) })),
      { name: "New class …", act: () => this.ask() },
      { name: "No label", act: () => void this.give(null) },
    ], "Give the class");
  }

  ask() {
    const ids = this.selection.targets();
    ask({ title: "New class", go: "Give the class",
      body: [h("label.field", {}, `Name of the class of ${counted(ids.length, "image")}`, h("input", { name: "name", autofocus: true, maxlength: 200, required: true }))],
      answer: ({ name }) => {
        if (!name.trim()) throw new Error("A class needs a name: type one.");
        return this.give(name.trim(), ids, this.attempt);
      } });
  }

  /** @param {string | null} name @param {number[]} [ids] @param {(act: () => Promise<State>) => Promise<State | undefined>} [edit] */
  async give(name, ids = this.selection.targets(), edit = this.edit) {
    if (!ids.length) return;
    const state = await edit(() => server.relabel(ids, name));
    if (!state) return;
    this.selection.clear();
    const flips = state.flips ?? 0;
    toast(`${counted(ids.length, "image")} ${ids.length === 1 ? "is" : "are"} now ${name ?? "without a label"}. ${flips ? `${counted(flips, "prediction")} changed.` : "No prediction changed."}`,
      { action: flips ? { name: "Show them", act: this.showFlips } : undefined });
  }

  likeIt() {
    const [id] = this.selection.targets();
    if (id !== undefined) this.like(id);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || document.querySelector("dialog[open]") || shownView() === "label") return;
    if (/^[1-9]$/.test(event.key)) {
      const name = classOf(event.key), ids = this.selection.targets();
      if (name !== undefined && ids.length) void this.give(name, ids);
      else if (name !== undefined) toast("Select images first: click them, or stand on one with the arrows.");
    } else if (event.key.toLowerCase() === "s") this.likeIt();
    else if (event.key === "Escape") this.selection.clear();
    else return;
    event.preventDefault();
  }
}
