// Labelling from nothing: the images whose labels would help most, one after the other; a key answers; the curve grows.
// @ts-check
import * as server from "./api.js";
import { curve } from "./curve.js";
import { h, one, typing } from "./dom.js";
import { byKey, classOf, dealKeys, keyOf } from "./keys.js";
import { largePhoto, photo } from "./photo.js";
import { onView, shownView } from "./tabs.js";

/** @typedef {import("./api.js").State} State */

const REFILL = 3; // proposals left at which more are asked for

export class Labelling {
  /** @param {{edit: (act: () => Promise<State>) => Promise<State | undefined>, state: () => State | undefined}} page */
  constructor({ edit, state }) {
    this.edit = edit;
    this.state = state;
    /** @type {import("./api.js").Picture[]} */
    this.queue = [];
    /** @type {Set<number>} */
    this.done = new Set();
    /** @type {string[]} */
    this.added = [];
    /** @type {number | undefined} */
    this.drawn = undefined; // the image that is shown large
    this.why = h("p.quiet", { "aria-live": "polite" });
    this.asked = h("figure.asked");
    this.answers = h("div.answers", { role: "group", "aria-label": "Which class is it?" });
    this.field = h("input", { name: "name", "aria-label": "Name of a new class", placeholder: "New class, for instance cat", maxlength: 200 });
    this.add = h("form.add", { on: { submit: (/** @type {Event} */ event) => { event.preventDefault(); this.another(); } } }, this.field, h("button", { type: "submit" }, "Add class"));
    this.next = h("div.queue", { "aria-hidden": "true" });
    this.grown = h("div");
    this.only = h("select", { "aria-label": "Propose images of", on: { change: () => { this.queue = []; void this.fill(); } } });
    one("#label").append(
      h("div.asking", {},
        h("div", {}, this.asked, this.next),
        h("div.side", {}, h("h2", {}, "Which class is it?"), this.why, this.answers, this.add,
          h("div.row", {}, h("button.plain", { type: "button", on: { click: () => this.skip() } }, "Skip ", h("kbd", {}, "0")),
            h("label.inline", {}, h("span.quiet", {}, "Propose "), this.only)),
          h("h2", {}, "What the labels bring"), this.grown)));
    onView("label", () => { this.draw(); void this.fill(); });
    addEventListener("keydown", event => this.key(event));
  }

  /** Those of the scheme, and those that no image has yet. */
  get names() { return byKey([...(this.state()?.classes ?? []).map(each => each.name), ...this.added]); }

  /** @param {State} state */
  update(state) {
    const known = new Set(state.classes.map(each => each.name));
    this.added = this.added.filter(name => !known.has(name));
    const chosen = this.only.value;
    this.only.replaceChildren(h("option", { value: "" }, "any image"), ...state.classes.map(each => h("option", { value: each.name }, `likely ${each.name}`)));
    this.only.value = known.has(chosen) ? chosen : "";
    if (shownView() === "label") this.draw();
    void this.grow(state);
  }

  /** @param {State} state */
  async grow(state) {
    if (shownView() !== "label" || !this.grown) return;
    const steps = await server.growth(state.revision).catch(() => []);
    if (this.state()?.revision !== state.revision) return;
    this.grown.replaceChildren(...(steps.length > 1
      ? [curve(steps, { label: "Accuracy by the number of labels" }), h("p.quiet.small", {}, "Counted on the labelled images, each left out in turn. Proposed images are hard ones: on all images it is usually more.")]
      : [h("p.quiet", {}, steps.length ? "The learning curve goes on from here with each new label." : "The learning curve starts when two classes have labels.")]));
  }

  async fill() {
    if (this.filling) return;
    this.filling = true;
    try {
      const found = await server.proposals(this.only.value || null);
      const waiting = new Set(this.queue.map(each => each.id));
      this.queue.push(...found.images.filter(each => !waiting.has(each.id) && !this.done.has(each.id)));
      this.why.textContent = found.why;
    } catch (error) {
      this.why.textContent = error instanceof Error ? error.message : String(error);
    } finally {
      this.filling = false;
    }
    this.draw();
    const state = this.state();
    if (state) void this.grow(state);
  }

  draw() {
    const [picture, ...rest] = this.queue;
    if (picture?.id !== this.drawn || !this.asked.childElementCount) {
      this.drawn = picture?.id;
      this.asked.replaceChildren(...(picture ? [largePhoto(picture), h("figcaption", {}, picture.key)] : [h("div.nothing", {}, this.filling ? h("span.busy", {}, "Choosing images …") : "No image is left to label here.")]));
    }
    this.next.replaceChildren(...rest.slice(0, 6).map(each => photo(each)));
    const names = this.names;
    this.answers.replaceChildren(...names.map(name => h(`button${picture?.predicted === name ? ".likely" : ""}`, { type: "button", disabled: !picture, on: { click: () => void this.answer(name) } },
      keyOf(name) && h("kbd", {}, keyOf(name)), name, picture?.predicted === name && h("span.quiet.small", {}, "taken for this"))));
    if (!names.length) this.answers.append(h("p.quiet", {}, "Name the first class below: what do you want to tell apart?"));
  }

  another() {
    const name = this.field.value.trim();
    if (!name) return this.field.focus();
    if (!this.names.includes(name)) this.added.push(name);
    dealKeys(this.names);
    this.field.value = "";
    this.draw();
    this.answers.children[this.names.indexOf(name)]?.focus();
  }

  skip() {
    const picture = this.queue.shift();
    if (picture) this.done.add(picture.id);
    this.draw();
    if (this.queue.length <= REFILL) void this.fill();
  }

  /** @param {string} name */
  async answer(name) {
    const picture = this.queue.shift();
    if (!picture) return;
    this.done.add(picture.id);
    const back = this.answers.contains(document.activeElement) ? [...this.answers.children].indexOf(document.activeElement) : -1;
    this.draw();
    if (back >= 0) this.answers.children[back]?.focus();
    const state = await this.edit(() => server.relabel([picture.id], name));
    if (!state) {
      this.done.delete(picture.id);
      this.queue.unshift(picture);
      this.draw();
    } else if (this.queue.length <= REFILL) await this.fill();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (shownView() !== "label" || event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || document.querySelector("dialog[open]")) return;
    if (event.key === "0") this.skip();
    else if (/^[1-9]$/.test(event.key)) {
      const name = classOf(event.key);
      if (name === undefined) return;
      void this.answer(name);
    }
    else return;
    event.preventDefault();
  }
}
