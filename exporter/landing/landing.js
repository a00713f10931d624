// Asks api/v1/streams every few seconds and shows the answer. Whatever it shows is set as text, never as HTML.
"use strict";

// Relative, as all addresses of the page: a proxy may serve it under a path of its own.
const API = "./api/v1/streams";
const EVERY = 5000;
const PATIENCE = 4000;
const UNKNOWN = "–";

const KINDS = {
  stream_failed: "Stream failed",
  stream_lost: "Stream lost",
  stream_missing: "Stream missing",
  stream_overdue: "Stream overdue",
  stream_stalled: "Stream stalled",
  stream_failed_recently: "Stream failed recently",
  stream_ended_untold: "Stream ended",
  watermark_in_future: "Watermark in the future",
  driver_lost: "Driver lost",
  driver_unreachable: "Driver unreachable",
  collector_failing: "Collector failing",
  events_lost: "Events lost",
};
// In this order a table of streams is read: what is worst stands first.
const STATES = ["failed", "lost", "missing", "stalled", "unknown", "untold", "unreachable", "failing", "running", "reachable", "working", "stopped", "finished", "ended"];
const COLOURS = {
  failed: "bad", lost: "bad", missing: "bad", stalled: "bad", unreachable: "bad", failing: "bad",
  unknown: "warn", untold: "warn", running: "good", reachable: "good", working: "good",
};

// --- Numbers and times for people -----------------------------------------------------------------------------------

function span(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [days, hours, minutes] = [Math.floor(whole / 86400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60];
  if (days) return `${days} d ${hours} h`;
  if (hours) return `${hours} h ${minutes} m`;
  return minutes ? `${minutes} m ${whole % 60} s` : `${whole} s`;
}

const rough = (seconds) => span(seconds).split(" ").slice(0, 2).join(" ");

function count(value) {
  if (Math.abs(value) >= 1e6) return value.toLocaleString("en", { notation: "compact", maximumFractionDigits: 1 });
  return value.toLocaleString("en", { maximumFractionDigits: Math.abs(value) < 10 ? 1 : 0 });
}

function bytes(value) {
  const power = Math.min(4, Math.floor(Math.log2(Math.max(1, value)) / 10));
  return `${count(value / 1024 ** power)} ${["B", "KiB", "MiB", "GiB", "TiB"][power]}`;
}

function moment(at) {
  const time = new Date(at * 1000);
  const two = (number) => String(number).padStart(2, "0");
  const day = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  return `${day} ${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
}

const aged = (age) => (age === null ? null : { text: span(age), sort: age });
const since = (at, now) => (at === null ? null : { text: `${span(now - at)} ago`, sort: at, title: moment(at) });
const number = (value) => (value === null ? null : { text: count(value), sort: value });
const words = (text) => (text ? { text, sort: text.toLowerCase() } : null);
const state = (name, phase = "") => ({ text: name, sort: STATES.indexOf(name), state: COLOURS[name] || "calm", phase: phase.replaceAll("_", " ") });

function backlog(told) {
  if (told === null) return null;
  const units = [["seconds", span], ["rows", (value) => `${count(value)} rows`], ["files", (value) => `${count(value)} files`], ["bytes", bytes]];
  const known = units.filter(([unit]) => told[unit] !== null);
  if (!known.length) return told.known ? { text: "told, no amount", sort: 0 } : { text: "unknown", vague: true, sort: null };
  const text = known.map(([unit, show]) => show(told[unit])).join(", ");
  return { text: told.known ? text : `≥ ${text}`, sort: told[known[0][0]] };
}

function watermark(delay) {
  if (delay === null) return null;
  return { text: delay < 0 ? `${span(-delay)} ahead` : span(delay), sort: delay };
}

// --- The tables: for each column a name, a title, how a row's cell is made, and its classes ----------------------------

const TABLES = {
  streams: {
    title: "Streams",
    sort: "state",
    id: (row) => `${row.app}\n${row.query}`,
    columns: [
      ["query", "Stream", (row) => words(row.query), "name"],
      ["app", "Application", (row) => words(row.app), "owner soft"],
      ["state", "State", (row) => state(row.state, row.phase), "lead"],
      ["signal", "Last signal", (row) => aged(row.last_signal_age_seconds), "number"],
      ["ended", "Last batch", (row) => aged(row.last_batch && row.last_batch.age_seconds), "number"],
      ["batch", "Batch", (row) => number(row.last_batch && row.last_batch.id), "number"],
      // The last batch's: of a stream that runs no more it would say that rows flow.
      ["rate", "Rows/s", (row) => (row.active ? number(row.last_batch && row.last_batch.rows_per_second) : null), "number"],
      ["backlog", "Backlog", (row) => backlog(row.backlog), "number"],
      ["watermark", "Watermark", (row) => watermark(row.watermark_delay_seconds), "number"],
      ["failures", "Failures", failures, ""],
      ["trigger", "Trigger", (row) => words(row.trigger.replace("processing_time", "every").replaceAll("_", " ")), "soft"],
      ["run", "Run", (row) => link(row.run_page), ""],
    ],
  },
  failures: {
    title: "Last failures",
    sort: "-at",
    id: (row) => `${row.at}\n${row.app}\n${row.query}`,
    columns: [
      ["at", "When", (row, now) => ({ text: `${moment(row.at)}, ${span(now - row.at)} ago`, sort: row.at }), "line"],
      ["query", "Stream", (row) => words(row.query || "(the driver)"), "name"],
      ["app", "Application", (row) => words(row.app), "owner soft"],
      ["class", "Class", (row) => ({ text: row.class, sort: row.class, state: "bad", phase: "" }), "lead"],
      ["condition", "Error condition", reason, "wide"],
      ["batch", "After batch", (row) => number(row.batch_id), "number"],
      ["run", "Run", (row) => link(row.run_page), ""],
    ],
  },
  drivers: {
    title: "Drivers",
    sort: "state",
    id: (row) => row.app,
    columns: [
      ["app", "Application", (row) => words(row.app), "name"],
      ["state", "State", (row) => state(row.state), "lead"],
      ["contact", "Last contact", (row, now) => since(row.last_contact, now), "number line"],
      ["streams", "Active streams", (row) => number(row.streams), "number"],
      ["lost", "Events lost", (row) => number(row.events_lost), "number"],
      ["spark", "Spark", (row) => words(row.spark_version), ""],
      ["id", "Id", (row) => words(row.app_id), "soft line"],
      ["run", "Run", (row) => link(row.run_page), ""],
    ],
  },
  collectors: {
    title: "Collectors",
    sort: "state",
    id: (row) => `${row.name}\n${row.target}`,
    columns: [
      ["name", "Collector", (row) => words(row.name), "name"],
      ["target", "Target", (row) => words(row.target || "all"), "owner soft"],
      ["state", "State", (row) => state(row.succeeded ? "working" : "failing"), "lead"],
      ["success", "Last success", (row, now) => since(row.last_success, now), "number"],
      ["failures", "Failures by reason", (row) => words(Object.entries(row.failures).filter(([, times]) => times).map(([reason, times]) => `${reason} ${count(times)}`).join(", ")), "wide"],
    ],
  },
};

// The exception's first line, where it was chosen to be shown, stands under the condition.
function reason(row) {
  const told = words(row.condition);
  return row.message ? { ...(told || { text: "", sort: null }), message: row.message } : told;
}

function failures(row, now) {
  if (row.state === "missing") return null;
  const last = row.last_failure === null ? "" : `, ${row.last_failure} ${rough(now - row.last_failure_at)} ago`;
  return { text: `${count(row.failures)}${last}`, sort: row.failures, title: last && moment(row.last_failure_at) };
}

// Only an address that is one: what a driver says must not become a script.
function link(address) {
  return address.startsWith("https://") ? { text: "open", sort: address, href: address } : null;
}

// --- What the reader chose, kept in the address's hash -----------------------------------------------------------------

const chosen = { filter: "" };
for (const [name, table] of Object.entries(TABLES)) chosen[name] = table.sort;

function recall() {
  const told = new URLSearchParams(location.hash.slice(1));
  chosen.filter = told.get("filter") || "";
  for (const [name, table] of Object.entries(TABLES)) {
    const wanted = told.get(name) || table.sort;
    chosen[name] = table.columns.some(([column]) => column === wanted.replace(/^-/, "")) ? wanted : table.sort;
  }
}

function keep() {
  const told = new URLSearchParams();
  if (chosen.filter) told.set("filter", chosen.filter);
  for (const [name, table] of Object.entries(TABLES)) if (chosen[name] !== table.sort) told.set(name, chosen[name]);
  const hash = told.toString();
  history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
}

// --- Making the page ---------------------------------------------------------------------------------------------------

const $ = (selector, within = document) => within.querySelector(selector);

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// Below a certain width tables are laid out as cards; told roles keep them tables for a screen reader.
function build(name, table) {
  const section = $(`#${name}`);
  const heads = table.columns.map(([column, title, , style]) => {
    const button = element("button", { type: "button" }, title);
    const head = element("th", { scope: "col", role: "columnheader", "data-column": column, class: style.includes("number") ? "number" : "" }, button);
    button.addEventListener("click", () => {
      chosen[name] = chosen[name] === column ? `-${column}` : column;
      keep();
      show();
    });
    return head;
  });
  table.heads = heads;
  table.body = element("tbody", { role: "rowgroup" });
  table.rows = new Map();
  table.count = element("span", { class: "count" });
  const head = element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...heads));
  const whole = element("table", { role: "table", "aria-labelledby": `${name}-title` }, head, table.body);
  section.append(element("h2", { id: `${name}-title` }, table.title, " ", table.count), element("div", { class: "frame" }, whole));
}

function compare(one, other) {
  if (one === other) return 0;
  return typeof one === "string" ? one.localeCompare(other, "en", { numeric: true }) : one - other;
}

// What is unknown stands last, whichever way one sorts.
function ordered(lines, index, descending) {
  const key = (line) => (line.cells[index] ? line.cells[index].sort : null);
  const [known, unknown] = [lines.filter((line) => key(line) !== null), lines.filter((line) => key(line) === null)];
  known.sort((a, b) => (descending ? compare(key(b), key(a)) : compare(key(a), key(b))) || compare(a.id, b.id));
  return [...known, ...unknown];
}

function showTable(name, table, rows, now) {
  const terms = chosen.filter.toLowerCase().split(/\s+/).filter(Boolean);
  const lines = [];
  for (const row of rows) {
    const cells = table.columns.map(([, , make]) => make(row, now) || null);
    const text = cells.map((cell) => (cell ? `${cell.text} ${cell.phase || ""} ${cell.message || ""}` : "")).join(" ").toLowerCase();
    if (terms.every((term) => text.includes(term))) lines.push({ id: table.id(row), cells });
  }
  const column = chosen[name].replace(/^-/, "");
  const descending = chosen[name].startsWith("-");
  table.heads.forEach((head) => {
    if (head.dataset.column === column) head.setAttribute("aria-sort", descending ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  });
  const sorted = ordered(lines, table.columns.findIndex(([each]) => each === column), descending);
  place(table, sorted);
  table.count.textContent = lines.length === rows.length ? count(rows.length) : `${count(lines.length)} of ${count(rows.length)}`;
  $(`#${name}`).hidden = !rows.length;
}

// Rows are kept from answer to answer, and only what changed is touched: focus, selection and scrolling stay.
function place(table, lines) {
  const wanted = new Set(lines.map((line) => line.id));
  for (const [id, row] of table.rows) {
    if (!wanted.has(id)) {
      row.remove();
      table.rows.delete(id);
    }
  }
  let next = table.body.firstElementChild;
  for (const { id, cells } of lines) {
    let row = table.rows.get(id);
    if (!row) {
      row = element("tr", { role: "row" }, ...table.columns.map(([, title, , style]) => element("td", { role: "cell", class: style, "data-label": title })));
      table.rows.set(id, row);
    }
    cells.forEach((cell, index) => fill(row.children[index], cell, table.columns[index][3]));
    if (row === next) next = next.nextElementSibling;
    else table.body.insertBefore(row, next);
  }
}

function fill(place, cell, style) {
  const shown = cell === null ? "" : JSON.stringify([cell.text, cell.state, cell.phase, cell.href, cell.title, cell.message]);
  if (place.shown === shown) return;
  place.shown = shown;
  place.className = cell === null ? `${style} unknown` : cell.vague ? `${style} vague` : style;
  place.title = (cell && (cell.title || (/name|soft/.test(style) && cell.text))) || "";
  place.replaceChildren(...parts(cell));
}

function parts(cell) {
  if (cell === null) return [UNKNOWN];
  if (cell.href) return [element("a", { href: cell.href, target: "_blank", rel: "noopener noreferrer" }, cell.text)];
  if (cell.message) return [element("span", {}, cell.text, element("span", { class: "message" }, cell.message))];
  if (!cell.state) return [cell.text];
  const badge = element("span", { class: `state ${cell.state}` }, cell.text);
  return [element("span", {}, badge, ...(cell.phase ? [" ", element("span", { class: "phase" }, cell.phase)] : []))];
}

function showProblems(problems, now) {
  const list = $("#problems ul");
  const told = JSON.stringify(problems);
  $("#problems .count").textContent = problems.length ? count(problems.length) : "";
  $("#problems .none").hidden = problems.length > 0;
  // A list that is made anew is read out anew: only where it says something else.
  if (list.told !== told) {
    list.told = told;
    list.replaceChildren(...problems.map((problem) => {
      const whose = [problem.query, problem.app].filter(Boolean).join(" · ");
      const time = element("time", { title: problem.since === null ? "" : moment(problem.since) });
      return element("li", { class: problem.severity },
        element("b", {}, problem.severity), element("strong", {}, whose || "exporter"),
        element("span", {}, `${KINDS[problem.kind] || problem.kind}. ${problem.text}`), time);
    }));
  }
  problems.forEach((problem, index) => {
    const time = list.children[index].lastElementChild;
    const age = problem.since === null ? "" : span(now - problem.since);
    // All the others still are.
    time.textContent = age && (problem.kind === "stream_failed_recently" ? `${age} ago` : `for ${age}`);
  });
}

let answer = null;
let answered = null;

function show() {
  if (answer === null) return;
  const { at, streams, problems } = answer;
  const running = streams.filter((stream) => stream.state === "running").length;
  $("#version").textContent = answer.version;
  const told = streams.length ? `${count(running)} of ${count(streams.length)} streams running` : "No streams";
  $("#summary").textContent = answer.ready ? `${told}, as of ${moment(at).slice(11)}` : "The first look is under way";
  const grave = problems.filter((problem) => problem.severity !== "note").length;
  document.title = grave ? `(${grave}) lakehouse-exporter` : "lakehouse-exporter";
  showProblems(problems, at);
  $("#empty").hidden = !answer.ready || answer.drivers.length > 0 || streams.length > 0 || problems.length > 0;
  for (const [name, table] of Object.entries(TABLES)) showTable(name, table, answer[name], at);
}

function silence(reason) {
  const last = answered === null ? "" : ` Below is what it said at ${moment(answered / 1000).slice(11)}.`;
  $("#silence").hidden = reason === null;
  $("#silence").textContent = reason === null ? "" : `The exporter does not answer (${reason}).${last}`;
  document.body.classList.toggle("silent", reason !== null);
}

async function ask() {
  try {
    const response = await fetch(API, { signal: AbortSignal.timeout(PATIENCE), cache: "no-store" });
    if (!response.ok) throw new Error(`status ${response.status}`);
    const said = await response.json();
    if (![said.problems, ...Object.keys(TABLES).map((name) => said[name])].every(Array.isArray)) throw new Error("somebody else does");
    answer = said;
    answered = Date.now();
    silence(null);
  } catch (error) {
    silence(error.name === "TimeoutError" ? "no answer in time" : error.message);
  }
  show();
}

// A page that nobody looks at asks nothing; it asks at once when it is looked at again.
let timer = null;
async function follow() {
  clearTimeout(timer);
  try {
    if (!document.hidden) await ask();
  } finally {
    clearTimeout(timer);
    timer = setTimeout(follow, EVERY);
  }
}

function begin() {
  const filter = $("#filter");
  for (const [name, table] of Object.entries(TABLES)) build(name, table);
  recall();
  filter.value = chosen.filter;
  filter.addEventListener("input", () => {
    chosen.filter = filter.value.trim();
    keep();
    show();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== filter && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      filter.focus();
      filter.select();
    } else if (event.key === "Escape" && document.activeElement === filter) {
      filter.value = "";
      filter.dispatchEvent(new Event("input"));
      filter.blur();
    }
  });
  addEventListener("hashchange", () => {
    recall();
    filter.value = chosen.filter;
    show();
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) follow(); });
  follow();
}

begin();
