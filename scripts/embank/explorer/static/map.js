// The map's view: what its colours mean, by what images are coloured, and the image beneath the pointer.
// @ts-check
import * as server from "./api.js";
import { counted, h, one } from "./dom.js";
import { hueOf, mark, NO_CLASS } from "./hues.js";
import { say } from "./lift.js";
import { MapCanvas } from "./map-canvas.js";
import { photo } from "./photo.js";
import { onView, shownView } from "./tabs.js";

export class MapView {
  /** @param {import("./selection.js").Selection} selection @param {() => import("./api.js").State | undefined} state */
  constructor(selection, state) {
    this.state = state;
    this.revision = -1;
    /** @type {number | null} */
    this.hovered = null;
    /** @type {Set<string>} */
    this.shut = new Set(); // by name, "" for no class: codes are others after an edit
    this.tip = h("div.tip", { hidden: true });
    this.map = new MapCanvas({ selection, hover: (id, x, y) => this.hover(id, x, y), lassoed: n => say(`${counted(n, "image")} selected.`) });
    this.wait = h("p.busy", { role: "status", hidden: true }, "Placing the images: it takes some seconds the first time …");
    this.map.root.append(this.tip, this.wait);
    this.by = h("select", { "aria-label": "Colour by", on: { change: () => { this.revision = -1; void this.refresh(); } } },
      h("option", { value: "label" }, "labels"), h("option", { value: "predicted" }, "predictions"));
    this.chips = h("div.chips", { role: "group", "aria-label": "Classes on the map: press to hide or show" });
    this.add = h("button.by-finger", { type: "button", "aria-pressed": "false", on: { click: () => {
      this.map.adding = !this.map.adding;
      this.add.setAttribute("aria-pressed", String(this.map.adding));
    } } }, "Loops add");
    this.note = h("span.quiet.small.grow", {}, "Drag a loop round images to select them; Shift adds. Then press the number of their class.");
    one("#map").append(h("div.strip", {}, h("label.inline", {}, h("span.quiet", {}, "Coloured by "), this.by), this.add, this.note), h("div.beside", {}, this.map.root, this.chips));
    onView("map", () => void this.refresh());
  }

  /** @param {{judged?: boolean}} [how] judged: predictions may be others than before, of the same revision */
  async refresh({ judged = false } = {}) {
    const state = this.state();
    if (shownView() !== "map" || !state || (this.revision === state.revision && !judged)) return;
    const revision = this.revision = state.revision;
    try {
      if (!this.known) {
        this.wait.hidden = false;
        this.known = await server.places();
        this.map.places = this.known;
        this.note.textContent = this.known.note;
        this.wait.hidden = true;
      }
      const codes = await server.codes(this.by.value);
      if (revision !== this.revision) return;
      this.map.hues = state.classes.map(each => hueOf(each.name));
      this.map.codes = codes;
      this.legend(state);
      this.map.draw();
    } catch (error) {
      this.revision = -1;
      this.wait.hidden = true;
      this.note.textContent = error instanceof Error ? error.message : String(error);
    }
  }

  /** @param {import("./api.js").State} state */
  legend(state) {
    const classes = [...state.classes, { code: NO_CLASS, name: "" }];
    const shut = () => { this.map.shut = new Set(classes.filter(each => this.shut.has(each.name)).map(each => each.code)); };
    shut();
    this.chips.replaceChildren(...classes.map(({ code, name }) => {
      const chip = h("button", { type: "button", "aria-pressed": String(!this.shut.has(name)), class: this.shut.has(name) ? "off" : "", on: { click: () => {
        if (!this.shut.delete(name)) this.shut.add(name);
        chip.setAttribute("aria-pressed", String(!this.shut.has(name)));
        chip.classList.toggle("off", this.shut.has(name));
        shut();
        this.map.draw();
      } } }, mark(code === NO_CLASS ? NO_CLASS : hueOf(name)), h("span", {}, name || "no class"));
      return chip;
    }));
  }

  /** @param {number | null} id @param {number} x @param {number} y */
  async hover(id, x, y) {
    if (id === this.hovered) return;
    this.hovered = id;
    this.tip.hidden = id === null;
    if (id === null) return;
    const picture = await server.imageOf(id).catch(() => null);
    if (this.hovered !== id || !picture) return;
    this.tip.replaceChildren(photo(picture), h("b", {}, picture.label ?? "no label"), picture.predicted && picture.predicted !== picture.label ? h("span.wrong", {}, ` → ${picture.predicted}`) : "", h("div.quiet", {}, picture.key));
    const box = this.map.root.getBoundingClientRect(), own = this.tip.getBoundingClientRect();
    this.tip.style.left = `${x + 14 + own.width > box.width ? Math.max(4, x - own.width - 14) : x + 14}px`;
    this.tip.style.top = `${Math.max(4, Math.min(y - own.height / 2, box.height - own.height - 4))}px`;
    if (document.activeElement === this.map.root) say(`${picture.key}, ${picture.label ?? "no label"}`);
  }
}
