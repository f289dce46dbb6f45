// A class on the board: its name, its figures, its images.
// @ts-check
import { Grid } from "./grid.js";
import { counted, h, percent } from "./dom.js";
import { hueOf, mark } from "./hues.js";
import { tell } from "./toast.js";

/**
 * @typedef {import("./api.js").ClassState} ClassState
 * @typedef {{lift: (column: Column) => void, beside: (column: Column, by: number, control: string) => void, rename: (one: ClassState, name: string) => Promise<unknown>,
 *   menu: (column: Column, button: HTMLElement) => void, active: (column: Column) => void}} Acts
 */

const WIDTH = 84; // of a thumbnail at least

export class Column {
  /** @param {ClassState} state @param {Acts} acts @param {import("./selection.js").Selection} selection */
  constructor(state, acts, selection) {
    this.acts = acts;
    this.state = state;
    this.shown = -1; // the revision that its images are of
    this.name = h("span");
    this.grip = h("button.plain.grip", { type: "button", "data-control": "grip", title: "Drag onto another class to merge. By keyboard: Space, arrows, Enter", on: { click: (/** @type {MouseEvent} */ event) => event.detail === 0 && acts.lift(this) } }, "⠿");
    this.title = h("button.plain.title", { type: "button", "data-control": "title", on: { click: () => this.edit() } }, this.name);
    this.more = h("button.plain.more", { type: "button", "data-control": "more", "aria-haspopup": "menu", "aria-expanded": "false", on: { click: () => acts.menu(this, this.more) } }, "⋯");
    this.count = h("span");
    this.recall = h("span");
    this.top = h("div.top", { on: { keydown: (/** @type {KeyboardEvent} */ event) => this.key(event) } }, this.grip, this.title, this.more, h("div.facts", {}, this.count, this.recall));
    this.grid = new Grid({ label: state.name, width: WIDTH, extra: 0, card: (picture, grid) => [grid.photo(picture)] }, selection);
    this.root = h("section.column", { on: { focusin: () => acts.active(this) } }, this.top, this.grid.root);
    this.update(state);
  }

  /** @param {ClassState} state */
  update(state) {
    this.state = state;
    const { name, count, recall } = state;
    this.root.dataset.code = String(state.code);
    this.root.setAttribute("aria-label", `${name}, ${counted(count, "image")}`);
    this.name.textContent = name;
    this.title.replaceChildren(mark(hueOf(name)), this.name);
    this.title.title = `${name}: click to rename (F2)`;
    this.title.setAttribute("aria-label", `Rename ${name}`);
    this.grip.setAttribute("aria-label", `Move ${name} onto another class`);
    this.more.setAttribute("aria-label", `More for ${name}`);
    this.count.textContent = counted(count, "image");
    this.recall.replaceChildren(...(recall === null || recall === undefined ? [] : ["recall ", h("b", {}, percent(recall))]));
    this.grid.root.setAttribute("aria-label", `Images of ${name}`);
  }

  /** @param {boolean} on whether the Tab key stops in this column */
  reach(on) {
    for (const each of [this.grip, this.title, this.more, this.grid.root]) each.tabIndex = on ? 0 : -1;
  }

  edit() {
    const field = h("input.rename", { value: this.state.name, "aria-label": `New name of ${this.state.name}`, maxlength: 200 });
    const said = h("p.said.small", { role: "alert", hidden: true });
    let done = false; // or the server's turn
    /** @type {string | undefined} */
    let refused;
    const end = async (/** @type {boolean} */ keep) => {
      if (done) return;
      done = true;
      const name = field.value.trim();
      try {
        if (keep && name && name !== this.state.name) await this.acts.rename(this.state, name);
        const back = field === document.activeElement;
        field.replaceWith(this.title);
        said.remove();
        if (back) this.title.focus();
      } catch (error) {
        done = false;
        refused = name;
        field.setAttribute("aria-invalid", "true");
        tell(said, error);
      }
    };
    field.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      event.stopPropagation();
      if (event.key !== "Enter" && event.key !== "Escape") return;
      event.preventDefault(); // or the button that gets the focus is pressed at once
      void end(event.key === "Enter");
    });
    field.addEventListener("blur", () => void end(field.value.trim() !== refused)); // who leaves it at that gives up
    this.title.replaceWith(field);
    this.more.after(said);
    field.select();
    field.focus();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const control = event.target instanceof HTMLElement ? event.target.dataset.control : undefined;
    if (!control || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key.toLowerCase() === "m" || (control === "grip" && event.key === " ")) this.acts.lift(this);
    else if (event.key === "F2") this.edit();
    else if (event.key === "ArrowLeft" || event.key === "ArrowRight") this.acts.beside(this, event.key === "ArrowLeft" ? -1 : 1, control);
    else if (event.key === "ArrowDown") this.grid.root.focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
