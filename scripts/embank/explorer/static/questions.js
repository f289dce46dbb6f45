// What the page asks in dialogs: merge into which class, split by what, start from where, save under which name.
// @ts-check
import { ask, showLarge } from "./dialog.js";
import { counted, h } from "./dom.js";

/** @typedef {import("./api.js").ClassState} ClassState */

/** A choice among some that says more about each. @param {string} name @param {{value: string, title: string, more?: import("./dom.js").Child}[]} choices */
function choices(name, choices) {
  return choices.map(({ value, title, more }, i) => h("label.choice", { on: { focusin: (/** @type {Event} */ event) => { if (event.currentTarget instanceof HTMLElement) /** @type {HTMLInputElement} */ (event.currentTarget.firstElementChild).checked = true; } } }, h("input", { type: "radio", name, value, checked: i === 0 }), h("span", {}, title), more));
}

/** @param {string} name @param {string[]} values @param {string} label */
function select(name, values, label) {
  return h("select", { name, "aria-label": label }, ...values.map(value => h("option", { value }, value)));
}

/** @param {ClassState} from @param {ClassState[]} classes @param {(onto: string) => Promise<unknown>} merge */
export function askMerge(from, classes, merge) {
  ask({
    title: `Merge ${from.name} into …`, go: "Merge",
    body: [h("label.field", {}, "Class", h("select", { name: "onto" }, ...classes.filter(each => each.code !== from.code).map(each => h("option", { value: each.name }, `${each.name} (${each.count.toLocaleString("en")})`))))],
    answer: values => merge(values.onto),
  });
}

/** @param {ClassState} from @param {string[]} columns @param {(how: import("./api.js").Split) => Promise<unknown>} split */
export function askSplit(from, columns, split) {
  ask({
    title: `Split ${from.name}`, go: "Split",
    body: [h("fieldset", {}, h("legend", {}, `The class (${counted(from.count, "image")}) becomes several, by`), ...choices("by", [
      { value: "clusters", title: "likeness: clusters of its vectors", more: h("label.field", {}, "How many", h("input", { name: "clusters", type: "number", min: 2, max: 12, value: 2 })) },
      ...(columns.length ? [{ value: "column", title: "a column of a table", more: select("column", columns, "Column") }] : []),
      { value: "where", title: "an expression: those it holds for, and the others", more: h("input", { name: "where", placeholder: "width >= 400", "aria-label": "Expression", spellcheck: "false" }) },
    ]))],
    answer: values => split(values.by === "clusters" ? { clusters: Number(values.clusters) } : values.by === "column" ? { column: values.column } : { where: values.where }),
  });
}

/** @param {import("./api.js").State} state @param {(from: string) => Promise<unknown>} start */
export function askStart(state, start) {
  ask({
    title: "Start from another scheme", go: "Start",
    body: [
      h("p.quiet", {}, "The board is laid out anew. What you did so far can be undone."),
      h("fieldset", {}, h("legend", {}, "Schemes"), ...choices("start", state.starts.map(each => ({ value: each.id, title: each.title, more: each.more ? h("span.quiet.small", {}, each.more) : undefined })))),
    ],
    answer: values => start(values.start),
  });
}

/** @param {import("./api.js").State} state @param {(name: string) => Promise<{path: string, command: string}>} save */
export function askSave(state, save) {
  ask({
    title: "Save the scheme", go: "Save",
    body: [
      h("label.field", {}, "Name of the scheme", h("input", { name: "name", value: state.saveAs, autofocus: true, spellcheck: "false", maxlength: 100 })),
      h("p.quiet", {}, "Written as a YAML file that embank compare and embank train read. Labels that you gave here lie in a label table of the store already."),
    ],
    answer: async values => {
      const saved = await save(values.name.trim());
      const copy = h("button", { type: "button", on: { click: async () => { await navigator.clipboard.writeText(saved.command); copy.textContent = "Copied"; } } }, "Copy");
      return h("div.body", {}, h("p", {}, "Saved to"), h("pre", {}, saved.path), h("p", {}, "Compare it with other schemes and heads:"), h("pre", {}, saved.command), h("div", {}, copy));
    },
  });
}

/** @type {[string[], string][]} */
const KEYS = [
  [["Tab"], "from part to part; arrows move within one"],
  [["Space", "M"], "on a class: pick it up; arrows choose another, Enter merges, Esc puts it back"],
  [["F2"], "on a class: rename it"],
  [["Space"], "on an image: select it; Shift and arrows select many, Ctrl+A all, Esc none"],
  [["1", "–", "9"], "give the selected images that class, which keeps its number"],
  [["Enter"], "on an image: show it larger"],
  [["S"], "images like the one selected"],
  [["Ctrl+Z"], "undo; Ctrl+Shift+Z does it again"],
  [["?"], "this list"],
];

export function showHelp() {
  showLarge("Keys", h("dl.keys", {}, ...KEYS.flatMap(([keys, text]) => [h("dt", {}, ...keys.map(key => key === "–" ? "–" : h("kbd", {}, key))), h("dd", {}, text)])),
    h("p.quiet", {}, "By mouse: drag a class onto another to merge them, images onto a class to relabel them, a loop on the map to select many. Drop or paste a picture to find those like it. Nothing you do changes a photo or a vector."),
    h("p.quiet", {}, "By finger: tap images to select them, then their class below; tap twice to see one larger. Drag a class by ⠿ onto another; the rest is in its menu, ⋯. Draw a loop on the map."));
}
