// Draws the figures from the page's own data and makes tables sortable. No address outside this file is used.
const { charts, rows } = JSON.parse(document.getElementById("data").textContent);

const records = {};
for (const [name, table] of Object.entries(rows)) {
  records[name] = table.values.map((row) => Object.fromEntries(table.columns.map((c, i) => [c, row[i]])));
}

window.views = {};
let pressed = [0, 0];
let led = ""; // the trial that an address filters the table for
const trials = new Set((records.trials ?? []).map((row) => row.trial_id));
const renderer = (records.models ?? []).length > 600 ? "canvas" : "svg";
for (const element of document.querySelectorAll("[data-chart]")) {
  const { spec, data } = charts[element.dataset.chart];
  for (const name of data) (spec.datasets ??= {})[name] = records[name];
  const options = { mode: "vega-lite", renderer, actions: { export: true, source: false, compiled: false, editor: false } };
  const { view } = await window.vegaEmbed(element, spec, options);
  window.views[element.dataset.chart] = view;
  const trialOf = (item) => (item?.mark.marktype === "symbol" && trials.has(item.datum?.id) ? item.datum.id : null);
  view.addEventListener("pointermove", (_, item) => (element.style.cursor = trialOf(item) ? "pointer" : ""));
  view.addEventListener("pointerdown", (event) => (pressed = [event.clientX, event.clientY]));
  view.addEventListener("click", (event, item) => {
    const dragged = Math.hypot(event.clientX - pressed[0], event.clientY - pressed[1]) > 4; // it chose a region
    const address = `#trial:${trialOf(item)}`;
    if (dragged || !trialOf(item)) return;
    if (location.hash === address) follow();
    else location.hash = address;
  });
  element.querySelector("summary")?.setAttribute("aria-label", "Save this figure");
  element.querySelector("svg.marks")?.setAttribute("aria-hidden", "true"); // its label says what it shows
}

// What a link or the print shows is unfolded; the button unfolds and folds everything.
const folds = [...document.querySelectorAll("details.fold")];
const unfold = document.getElementById("unfold");
const all = (open) => folds.forEach((fold) => (fold.open = open));
unfold.addEventListener("click", () => {
  all(unfold.textContent === "Open all");
  unfold.textContent = folds.every((fold) => fold.open) ? "Fold all" : "Open all";
});
let before = [];
window.addEventListener("beforeprint", () => {
  before = folds.map((fold) => fold.open);
  all(true);
});
window.addEventListener("afterprint", () => folds.forEach((fold, i) => (fold.open = before[i])));

const text = (value) => {
  if (value === null || value === undefined) return "";
  return typeof value === "number" && !Number.isInteger(value) ? String(Number(value.toPrecision(4))) : String(value);
};

function compare(a, b) {
  if (a === b) return 0;
  if (a === null || a === "") return 1; // absent values stay last
  if (b === null || b === "") return -1;
  return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true });
}

function headings(table, names, onSort) {
  names.forEach((cell, index) => {
    if (cell.textContent.trim() === "") return;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = cell.textContent;
    cell.replaceChildren(button);
    button.addEventListener("click", () => {
      const direction = cell.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      names.forEach((other) => other.removeAttribute("aria-sort"));
      cell.setAttribute("aria-sort", direction === 1 ? "ascending" : "descending");
      onSort(index, direction);
    });
  });
}

// A cell such as "-0.62 [-0.80, -0.30]" sorts by its first number.
const number = (value) => {
  const found = value.replaceAll(",", "").match(/^\s*[+-]?\d[\d.]*(e[+-]?\d+)?(?=$|[\s%])/i);
  return found ? Number(found[0]) : value;
};
for (const table of document.querySelectorAll("table[data-sortable]")) {
  headings(table, [...table.tHead.rows[0].cells], (index, direction) => {
    const body = table.tBodies[0];
    const key = (row) => number(row.cells[index].textContent);
    const absent = (row) => row.cells[index].textContent.trim() === "";
    body.append(...[...body.rows].sort((a, b) => absent(a) - absent(b) || direction * compare(key(a), key(b))));
  });
}

for (const table of document.querySelectorAll("table[data-rows]")) {
  const name = table.dataset.rows;
  const { columns, titles, values } = rows[name];
  const filter = document.querySelector(`[data-filter="${name}"]`);
  const counter = document.querySelector(`[data-count="${name}"]`);
  const more = document.querySelector(`[data-more="${name}"]`);
  let order = [...values];
  let shown = 100;
  const head = table.createTHead().insertRow();
  const cells = (titles ?? columns).map((title) => {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = title;
    head.append(cell);
    return cell;
  });
  const body = table.createTBody();
  const draw = () => {
    const wanted = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const hits = order.filter((row) => {
      const line = row.map(text).join(" ").toLowerCase();
      return wanted.every((word) => line.includes(word));
    });
    body.replaceChildren(
      ...hits.slice(0, shown).map((row) => {
        const line = document.createElement("tr");
        for (const value of row) {
          const cell = line.insertCell();
          cell.textContent = text(value);
          if (typeof value === "number") cell.className = "n";
        }
        return line;
      }),
    );
    const found = hits.length < values.length ? ` found, of ${values.length}` : "";
    counter.textContent = `${Math.min(shown, hits.length)} of ${hits.length} rows${found}`;
    more.hidden = hits.length <= shown;
  };
  headings(table, cells, (index, direction) => {
    order = [...values].sort((a, b) => {
      const missing = (a[index] === null) - (b[index] === null);
      return missing || direction * compare(a[index], b[index]);
    });
    draw();
  });
  filter.addEventListener("input", draw);
  more.addEventListener("click", () => {
    shown += 500;
    draw();
  });
  draw();
}

// #NAME leads to a section or a figure, #trial:ID to a trial's row, which no other address leaves filtered.
function follow() {
  let name = decodeURIComponent(location.hash.slice(1));
  const trial = name.startsWith("trial:") ? name.slice("trial:".length) : "";
  const filter = document.querySelector("[data-filter=trials]");
  if (trials.has(trial)) name = filter.closest("section, details").id;
  if (trials.has(trial) || (led && filter.value === led)) {
    led = trials.has(trial) ? trial : "";
    filter.value = led;
    filter.dispatchEvent(new Event("input"));
  }
  const target = document.getElementById(name);
  target?.closest("details.fold")?.setAttribute("open", "");
  target?.scrollIntoView();
}
window.addEventListener("hashchange", follow);
follow();
document.documentElement.dataset.ready = "true";
