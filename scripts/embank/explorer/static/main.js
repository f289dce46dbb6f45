// The page: one state from the server, shown in all its parts; each edit brings the next.
// @ts-check
import * as server from "./api.js";
import { Board } from "./board.js";
import { counted, h, one, typing } from "./dom.js";
import { Figures } from "./figures.js";
import { dealKeys } from "./keys.js";
import { Labelling } from "./labelling.js";
import { Look } from "./look.js";
import { MapView } from "./map.js";
import { askSave, askStart, showHelp } from "./questions.js";
import { Relabel } from "./relabel.js";
import { Selection } from "./selection.js";
import { showView, startTabs } from "./tabs.js";
import { watchTheme } from "./theme.js";
import { forgetDone, tried } from "./toast.js";

/** @typedef {import("./api.js").State} State */

const PATIENCE = 300; // milliseconds after which an edit shows that it runs
const PAUSE = 400; // milliseconds between two questions whether figures are final

/** @type {State | undefined} */
let state;
let awaited = -1; // the revision whose final figures are asked for
/** @type {Promise<unknown>} */
let running = Promise.resolve();

if (location.search) history.replaceState(null, "", location.pathname); // the token is in a cookie by now: it need not be read over a shoulder
const selection = new Selection();
startTabs();
const look = new Look(selection, () => state?.classes.map(each => each.name) ?? []);
const map = new MapView(selection, () => state);
const board = new Board({ selection, edit, attempt, showClass: each => void look.open({ query: { kind: "class", code: each.code }, title: each.name, names: [each.name] }) });
const figures = new Figures({
  openCell: (truth, guess, names) => void look.open({ query: { kind: "cell", truth, guess }, title: truth === guess ? `${names[truth]}, rightly named` : `${names[truth]} taken for ${names[guess]}`, names: [names[truth], names[guess]] }),
  slow: revision => server.slow(revision),
});
const relabel = new Relabel({ selection, edit, attempt, like: id => void look.like(id, "this image"), showFlips: () => void look.open({ query: { kind: "flips" }, title: "Predictions that the last edit changed" }) });
const labelling = new Labelling({ edit, state: () => state });
watchTheme(() => map.map.draw());

/** What changes something goes to the server one after the other. @template T @param {() => Promise<T>} act @returns {Promise<T>} */
function inTurn(act) {
  const done = running.then(async () => {
    const busy = setTimeout(() => document.body.classList.add("working"), PATIENCE);
    try {
      return await act();
    } catch (error) {
      if (error instanceof server.OutdatedError) show(await server.open()); // what is asked next is of what is seen
      throw error;
    } finally {
      clearTimeout(busy);
      document.body.classList.remove("working");
    }
  });
  running = done.catch(() => undefined);
  return done;
}

/** An edit: what the server answers is shown everywhere; what it refuses is thrown, for those who tell it where it was asked. @param {() => Promise<State>} act */
function attempt(act) {
  forgetDone();
  return inTurn(async () => show(await act()));
}

/** An edit of which a message says what was refused. @param {() => Promise<State>} act */
function edit(act) { return tried(() => attempt(act)); }

/** @param {string} name */
function save(name) {
  return inTurn(async () => {
    const saved = await server.save(name);
    show(await server.open()); // that name is proposed next, and can be started from
    return saved;
  });
}

/** @param {State} next @returns {State} */
function show(next) {
  state = next;
  one("#store").textContent = next.store;
  const labelled = [...next.classes, ...next.dropped].reduce((sum, each) => sum + each.count, 0);
  one("#about").textContent = `${labelled < next.images ? `${labelled.toLocaleString("en")} of ${counted(next.images, "image")} labelled` : counted(next.images, "image")} · ${next.space}`;
  one("#scheme").textContent = next.scheme;
  document.title = `${next.scheme} · ${next.store} · embank explore`;
  for (const [id, what] of /** @type {const} */ ([["undo", next.undo], ["redo", next.redo]])) {
    const button = one(`#${id}`), name = id === "undo" ? "Undo" : "Redo";
    button.disabled = !what;
    button.setAttribute("aria-label", what ? `${name}: ${what}` : name);
    button.title = `${what ? `${name}: ${what}` : name} (${id === "undo" ? "Ctrl+Z" : "Ctrl+Shift+Z"})`;
  }
  dealKeys([...new Set([...next.classes.map(each => each.name), ...labelling.added])]);
  board.update(next);
  figures.update(next);
  relabel.update(next);
  labelling.update(next);
  void look.refresh();
  void map.refresh();
  if (next.settling && awaited !== next.revision) void settled(awaited = next.revision);
  return next;
}

/** Shows the final figures when they are there, unless an edit has come first. @param {number} revision */
async function settled(revision) {
  for (;;) {
    await new Promise(done => setTimeout(done, PAUSE));
    const next = await server.now().catch(() => undefined); // a server that is gone is told by the next edit
    if (!next || next.revision !== revision || state?.revision !== revision) return;
    if (!next.settling) return judged(next);
  }
}

/** The same scheme with other figures: nothing that is being typed or chosen is touched. @param {State} next */
function judged(next) {
  state = next;
  board.judged(next);
  figures.update(next);
  void labelling.grow(next);
  void look.refresh({ judged: true });
  void map.refresh({ judged: true });
}

one("#undo").addEventListener("click", () => void edit(server.undo));
one("#redo").addEventListener("click", () => void edit(server.redo));
one("#save").addEventListener("click", () => state && askSave(state, save));
one("#start").addEventListener("click", () => state && askStart(state, from => attempt(() => server.start(from))));
one("#help").addEventListener("click", showHelp);
addEventListener("keydown", event => {
  if (typing(event.target) || document.querySelector("dialog[open]")) return;
  const key = event.key.toLowerCase(), control = event.ctrlKey || event.metaKey;
  if (control && (key === "z" || key === "y")) {
    event.preventDefault();
    void edit(event.shiftKey || key === "y" ? server.redo : server.undo);
  } else if (event.key === "?" && !control) showHelp();
});

const first = await tried(async () => show(await server.open()));
if (!first) one("#board").replaceChildren(h("div.nothing", {}, h("p", {}, h("b", {}, "The store could not be shown.")), h("p", {}, "Is embank explore still running? Open the address that it printed once more.")));
else if (!(/** @type {State} */ (first).classes.length)) showView("label");
document.documentElement.dataset.ready = "true";
