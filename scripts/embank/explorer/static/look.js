// Images: mistakes, likely errors, duplicates, flips, a confusion cell, what an expression finds, what is like a picture.
// @ts-check
import * as server from "./api.js";
import { counted, h, one } from "./dom.js";
import { Grid } from "./grid.js";
import { showView, shownView, onView } from "./tabs.js";

/**
 * @typedef {import("./api.js").Query} Query
 * @typedef {{query: Query, title: string, empty?: string, names?: string[]}} Wanted  names: of the classes in the query, whose codes change with each edit
 */

/** @type {{name: string, wanted: Wanted}[]} */
const KINDS = [
  { name: "Confident mistakes", wanted: { query: { kind: "mistakes" }, title: "Confident mistakes", empty: "Nothing is mistaken: every image is taken for what it is labelled." } },
  { name: "Likely label errors", wanted: { query: { kind: "errors" }, title: "Likely label errors", empty: "No label looks wrong: images and their nearest neighbours agree." } },
  { name: "Near-duplicates", wanted: { query: { kind: "duplicates" }, title: "Near-duplicates", empty: "No two images are near enough to be copies of each other." } },
  { name: "Flips", wanted: { query: { kind: "flips" }, title: "Predictions that the last edit changed", empty: "The last edit changed no prediction. Relabel or merge something and look again." } },
  { name: "All images", wanted: { query: { kind: "all" }, title: "All images" } },
];

export class Look {
  /** @param {import("./selection.js").Selection} selection @param {() => string[]} classes the names of the classes, in order of their codes */
  constructor(selection, classes) {
    this.selection = selection;
    this.classes = classes;
    this.revision = -1;
    /** @type {Wanted} */
    this.wanted = KINDS[0].wanted;
    this.title = h("h2");
    this.count = h("span.quiet.small", { "aria-live": "polite" });
    this.said = h("p.said", { role: "alert", hidden: true, id: "find-said" });
    this.field = h("input", { type: "search", name: "where", placeholder: "Filter: width >= 400 and split == 'train'", "aria-label": "Filter by an expression", spellcheck: "false", autocomplete: "off", "aria-describedby": "find-said" });
    this.file = h("input", { type: "file", accept: "image/*", hidden: true, on: { change: () => { const [file] = this.file.files; if (file) void this.likeFile(file); this.file.value = ""; } } });
    this.chips = KINDS.map(({ name, wanted }) => h("button", { type: "button", "aria-pressed": "false", on: { click: () => void this.open(wanted) } }, h("span", {}, name)));
    this.grid = new Grid({ label: "Images", width: 148, extra: 58, card: (picture, grid) => this.card(picture, grid), empty: "No images here." }, selection);
    one("#look").append(
      h("div", {},
        h("div.strip", {},
          h("div.kinds", { role: "group", "aria-label": "Which images" }, ...this.chips),
          h("form.find", { role: "search", on: { submit: (/** @type {Event} */ event) => { event.preventDefault(); void this.filter(this.field.value.trim()); } } }, this.field, h("button", { type: "submit" }, "Filter")),
          h("button", { type: "button", title: "Or drop or paste a picture anywhere on this page", on: { click: () => this.file.click() } }, "Like a file …"), this.file, this.said),
        h("div.strip.under", {}, this.title, this.count, h("span.grow"), h("button", { type: "button", on: { click: () => void this.grid.all() } }, "Select all"))),
      this.grid.root);
    onView("look", () => void this.refresh());
    this.taking();
  }

  /** @param {import("./api.js").Picture} picture @param {Grid} grid */
  card(picture, grid) {
    const { label, predicted, confidence, note } = picture;
    const guess = predicted === null || predicted === undefined ? null
      : h(`span.${label === predicted ? "right" : "wrong"}`, { title: `Taken for ${predicted}` }, label === predicted ? "✓ " : "→ ", predicted, confidence === null || confidence === undefined ? "" : ` ${Math.round(confidence * 100)} %`);
    return [grid.photo(picture),
      h("button.similar", { type: "button", tabindex: -1, title: "Images like this one (S)", on: { click: () => void this.like(picture.id, picture.key) } }, "Similar"),
      h("div.caption", {}, h("b", { title: label ?? "" }, label ?? "no label"), guess, h("span.quiet", { title: picture.key }, note ?? picture.key.split("/").at(-1)))];
  }

  /** @param {Wanted} wanted @param {{keep?: boolean, show?: boolean}} [how] */
  async open(wanted, { keep = false, show = true } = {}) {
    this.wanted = wanted;
    this.revision = server.revision();
    if (show && shownView() !== "look") showView("look");
    this.chips.forEach((chip, i) => chip.setAttribute("aria-pressed", String(KINDS[i].wanted.query.kind === wanted.query.kind)));
    this.title.textContent = wanted.title;
    if (!keep) this.count.textContent = wanted.query.kind === "file" ? "embedding the picture …" : "looking …";
    this.said.hidden = true;
    this.field.setAttribute("aria-invalid", "false");
    try {
      const list = await server.imagesOf(wanted.query);
      if (this.wanted !== wanted) return;
      this.count.textContent = counted(list.total, "image");
      this.grid.show(list, { keep, empty: wanted.empty });
    } catch (error) {
      if (this.wanted !== wanted) return;
      this.count.textContent = "";
      const sentence = error instanceof Error ? error.message : String(error);
      this.said.textContent = wanted.query.kind === "file" ? `${wanted.query.file.name}: ${sentence}` : sentence;
      this.said.hidden = false;
      if (wanted.query.kind === "where") this.field.setAttribute("aria-invalid", "true");
      if (!keep) this.grid.show(server.none(), { empty: wanted.query.kind === "where" ? "Mend the expression above and press Enter." : "" });
    }
  }

  /** Shows the same list again, as it is after an edit, or after figures were judged anew. @param {{judged?: boolean}} [how] */
  async refresh({ judged = false } = {}) {
    if (shownView() !== "look" || (this.revision === server.revision() && !judged)) return;
    const same = this.renewed();
    await this.open(same ?? KINDS[0].wanted, { keep: Boolean(same) && this.revision >= 0, show: false });
  }

  /** What is wanted, by the codes that its classes have now; null if one of them is gone. @returns {Wanted | null} */
  renewed() {
    const { query, names } = this.wanted;
    if (!names) return this.wanted;
    const codes = names.map(name => this.classes().indexOf(name));
    if (codes.includes(-1)) return null;
    const renewed = query.kind === "cell" ? { ...query, truth: codes[0], guess: codes[1] } : { kind: /** @type {const} */ ("class"), code: codes[0] };
    return { ...this.wanted, query: renewed };
  }

  /** @param {string} where */
  filter(where) {
    return this.open(where ? { query: { kind: "where", where }, title: "Filtered", empty: `No image meets: ${where}` } : KINDS[4].wanted);
  }

  /** @param {number} id @param {string} key */
  like(id, key) { return this.open({ query: { kind: "similar", id }, title: `Like ${key.split("/").at(-1)}` }); }

  /** @param {File} file */
  likeFile(file) {
    return this.open({ query: { kind: "file", file }, title: `Like ${file.name || "the picture"}` });
  }

  /** Pictures dropped or pasted anywhere on the page. */
  taking() {
    const holds = (/** @type {DataTransfer | null} */ data) => [...data?.items ?? []].some(item => item.kind === "file");
    addEventListener("dragover", event => {
      if (!holds(event.dataTransfer)) return;
      event.preventDefault();
      document.body.classList.add("wanted");
    });
    addEventListener("dragleave", event => { if (!event.relatedTarget) document.body.classList.remove("wanted"); });
    addEventListener("drop", event => {
      event.preventDefault();
      document.body.classList.remove("wanted");
      const [file] = event.dataTransfer?.files ?? [];
      if (file) void this.likeFile(file);
    });
    addEventListener("paste", event => {
      const [file] = event.clipboardData?.files ?? [];
      if (file) void this.likeFile(file);
    });
  }
}
