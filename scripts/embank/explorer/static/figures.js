// The figures of the scheme as it stands: how good, how sure, better or worse than before, and by what it could be fooled.
// @ts-check
import { showLarge } from "./dialog.js";
import { counted, h, one, percent, points, svg } from "./dom.js";
import { curve } from "./curve.js";
import { matrix } from "./matrix.js";

/**
 * @typedef {import("./api.js").State} State
 * @typedef {import("./api.js").Slow} Slow
 */

export class Figures {
  /** @param {{openCell: (truth: number, guess: number, names: string[]) => void, slow: (revision: number) => Promise<Slow>}} acts */
  constructor(acts) {
    this.acts = acts;
    this.place = one("#figures");
    this.parts = { warnings: h("div"), floors: h("div"), recalls: h("div"), matrix: h("div"), labels: h("div") };
    this.large = h("button.link", { type: "button", on: { click: () => this.enlarge() } }, "Larger");
    this.place.append(
      this.parts.warnings,
      h("h2", {}, "Beside it"), this.parts.floors,
      h("h2", {}, "Recall of each class"), this.parts.recalls,
      h("h2", {}, "Confusions", this.large), this.parts.matrix,
      h("h2", {}, "Labels needed"), this.parts.labels);
  }

  /** @param {State} state */
  update(state) {
    this.state = state;
    const { figures } = state;
    headline(state);
    this.place.hidden = !figures;
    if (!figures) return;
    this.slow = undefined;
    this.floors();
    this.parts.recalls.replaceChildren(recalls(state.classes));
    this.large.hidden = !figures.confusion.counts;
    this.parts.matrix.replaceChildren(matrix(figures.confusion, (truth, guess) => this.open(truth, guess)));
    void this.later(state.revision);
  }

  /** What takes longer comes after, if nothing was edited meanwhile. @param {number} revision */
  async later(revision) {
    clearTimeout(this.timer);
    this.parts.warnings.classList.add("old");
    this.parts.labels.classList.add("old");
    if (this.state?.settling) return; // final figures come first
    this.timer = setTimeout(async () => {
      if (!this.parts.labels.childElementCount) this.parts.labels.replaceChildren(h("p.busy", {}, "Drawing learning curves …"));
      try {
        const slow = await this.acts.slow(revision);
        if (this.state?.revision !== revision) return;
        this.slow = slow;
        this.floors();
        this.parts.warnings.replaceChildren(...slow.warnings.map(text => h("p.warning", {}, text)));
        this.parts.labels.replaceChildren(...needed(slow));
      } catch (error) {
        if (this.state?.revision === revision) this.parts.labels.replaceChildren(h("p.quiet", {}, error instanceof Error ? error.message : String(error)));
      }
      this.parts.warnings.classList.remove("old");
      this.parts.labels.classList.remove("old");
    }, 250);
  }

  floors() {
    const figures = this.state?.figures;
    if (!figures) return;
    const rows = [
      ["Balanced accuracy", "mean recall of the classes", figures.balanced_accuracy],
      ["Macro F1", "mean F1 of the classes", figures.macro_f1],
      ["Always the largest class", figures.majority_class, figures.majority],
      ["Size and colour alone", "no vectors at all", this.slow ? this.slow.nuisance : undefined],
    ];
    this.parts.floors.replaceChildren(h("table.facts-table", {}, ...rows.map(([name, more, share]) => h("tr", {},
      h("th", { scope: "row" }, name, " ", h("span.quiet.small", {}, more ?? "")), h("td.number", {}, share === undefined ? "…" : percent(/** @type {number | null} */ (share)))))));
  }

  /** @param {number} truth @param {number} guess */
  open(truth, guess) { if (this.state?.figures) this.acts.openCell(truth, guess, this.state.figures.confusion.names); }

  enlarge() {
    const confusion = this.state?.figures?.confusion;
    if (!confusion) return;
    const dialog = showLarge("Confusions", h("p.quiet", {}, "Rows are what images are, columns what they are taken for. Click a cell to see its images."),
      matrix(confusion, (truth, guess) => { dialog.close(); this.open(truth, guess); }, { large: true }));
  }
}

/** @param {State} state */
function headline(state) {
  const { figures, previous, milliseconds, settling } = state, place = one("#headline");
  if (!figures) {
    place.replaceChildren(h("div.big", {}, h("b", {}, "–")), h("p.quiet", {}, state.why ?? "Two classes with images are needed for figures."));
    return;
  }
  const { accuracy, low, high } = figures;
  place.replaceChildren(
    h("div.big", {}, h("b", {}, `${settling ? "≈ " : ""}${percent(accuracy)}`), h("span.quiet", {}, `right of ${counted(figures.n, "image")}`)),
    bar(accuracy, low, high, previous?.accuracy ?? null, figures.majority),
    h("p.quiet.small", {}, `95 % interval ${percent(low)} to ${percent(high)}`, milliseconds !== null && ` · ${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms`),
    change(previous, settling));
}

/** @param {State["previous"]} previous @param {boolean} settling */
function change(previous, settling) {
  if (!previous) return h("p.change.quiet.small", {}, "Edit the scheme, and the difference to this one shows here.", h("span.small", {}));
  const { difference, low, high } = previous, sure = low > 0 || high < 0;
  return h("p.change", {}, h(`span${sure ? difference > 0 ? ".up" : ".down" : ""}`, {}, `${points(difference)} points`),
    settling && h("span.quiet.small.settling", { title: "Found at the ridge's strength of before. Final figures, at the one that is best now, follow in seconds." }, "final figures follow"),
    h("span.quiet.small", {}, `${sure ? "from before" : "no clear difference"} (95 %: ${points(low)} to ${points(high)})`));
}

/** @param {number} value @param {number} low @param {number} high @param {number | null} before @param {number} floor */
function bar(value, low, high, before, floor) {
  const x = (/** @type {number} */ share) => 2 + share * 396;
  return svg("svg", { class: "bar", viewBox: "0 0 400 14", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("line", { class: "axis", x1: x(0), x2: x(1), y1: 7, y2: 7 }),
    svg("line", { class: "floor", x1: x(floor), x2: x(floor), y1: 1, y2: 13 }),
    before !== null && svg("line", { class: "before", x1: x(before), x2: x(before), y1: 1, y2: 13 }),
    svg("line", { class: "range", x1: x(low), x2: x(high), y1: 7, y2: 7 }),
    svg("circle", { class: "point", cx: x(value), cy: 7, r: 5 }));
}

/** @param {import("./api.js").ClassState[]} classes */
function recalls(classes) {
  return h("dl.recalls", { tabindex: classes.length > 12 ? 0 : null, "aria-label": "Recall of each class" }, ...classes.filter(each => each.recall !== null).flatMap(each => [
    h("dt", { title: each.name }, each.name),
    h("dd", {}, svg("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
      svg("rect", { class: "track", width: 100, height: 10, rx: 2 }), svg("rect", { class: "filled", width: (each.recall ?? 0) * 100, height: 10, rx: 2 }))),
    h("dd.number", {}, percent(each.recall))]));
}

/** @param {Slow} slow */
function needed(slow) {
  return [h("p", {}, slow.labels_needed), slow.curve.length > 1 && curve(slow.curve, { goal: slow.goal })].filter(Boolean);
}
