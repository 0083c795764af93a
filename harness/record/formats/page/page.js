// SPDX-License-Identifier: Apache-2.0
"use strict";

(() => {
  const KERNEL = 0, GROUP = 1, QUESTION = 2, KIND = 3, ENTRY = 4, DURATION = 5, EVIDENCE = 6;
  const AT_ONCE = 50;
  const FIELDS = [
    ["asked", "Asked", "pre"], ["expected", "Expected", "code"], ["got", "Got", "code"],
    ["call", "Last call", "code"], ["registers", "Registers", "pre"],
    ["reproduce", "Reproduce", "code"], ["console", "Console", "pre"],
    ["log", "Kernel log", "pre"], ["failure", "In the scenario", "pre"],
  ];

  const data = JSON.parse(document.getElementById("data").textContent);
  const form = document.getElementById("filters");
  const matrix = document.getElementById("matrix");
  const list = document.getElementById("results");
  const scope = document.getElementById("scope");
  const more = document.getElementById("more");
  let chosen = null;  // a cell, as [group, column]; none shows whatever is wrong
  let filtered = [];
  let waiting = [];

  function columnOf(row) {
    return data.columnOf[row[KERNEL]];
  }

  function make(tag, text, properties) {
    const element = Object.assign(document.createElement(tag), properties);
    if (text !== undefined) element.textContent = text;
    return element;
  }

  function passes() {
    const wanted = new FormData(form);
    const kinds = new Set(wanted.getAll("kind").map((word) => data.kinds.indexOf(word)));
    const kernel = wanted.get("kernel"), entry = data.entries.indexOf(wanted.get("entry"));
    const text = wanted.get("question").trim().toLowerCase();
    const asked = data.questions.map((question) => question.toLowerCase().includes(text));
    return (row) => kinds.has(row[KIND]) && asked[row[QUESTION]]
      && (kernel === "" || columnOf(row) === Number(kernel))
      && (wanted.get("entry") === "" || row[ENTRY] === entry);
  }

  function count(rows) {
    const cells = new Map();
    for (const row of rows) {
      const key = row[GROUP] * data.columns.length + columnOf(row);
      if (!cells.has(key)) cells.set(key, new Array(data.kinds.length).fill(0));
      cells.get(key)[row[KIND]] += 1;
    }
    return cells;
  }

  function inWords(counts) {
    return counts.map((number, kind) => [number, data.kinds[kind]])
      .filter(([number]) => number).map((pair) => pair.join(" ")).join(", ");
  }

  function cell(group, column, counts) {
    const place = make("td");
    if (!counts) return place;
    const total = counts.reduce((sum, number) => sum + number, 0);
    const worst = counts.findIndex((number) => number);
    const some = counts[worst] === total ? "" : `/${total}`;
    const button = make("button", `${data.kinds[worst]} ${counts[worst]}${some}`, {
      type: "button", className: data.kinds[worst], title: inWords(counts),
    });
    button.dataset.group = group;
    button.dataset.column = column;
    const who = `${data.groups[group]} on ${data.columns[column]}`;
    button.setAttribute("aria-label", `${button.textContent}: ${who}, ${inWords(counts)}`);
    place.append(button);
    return place;
  }

  function drawMatrix() {
    const cells = count(filtered);
    const places = [...cells.keys()];
    const columns = data.columns.map((_, at) => at)
      .filter((at) => places.some((key) => key % data.columns.length === at));
    const groups = [...new Set(places.map((key) => Math.floor(key / data.columns.length)))]
      .sort((a, b) => data.groups[a].localeCompare(data.groups[b]));
    const head = make("tr");
    head.append(make("th", "Group", { scope: "col" }));
    for (const at of columns) {
      const name = make("th", data.columns[at], { scope: "col" });
      name.append(make("small", data.kernels[data.columnOf.indexOf(at)].release || "unknown"));
      head.append(name);
    }
    const body = make("tbody");
    for (const group of groups) {
      const line = make("tr");
      line.append(make("th", data.groups[group], { scope: "row" }));
      for (const at of columns) line.append(cell(group, at, cells.get(group * data.columns.length + at)));
      body.append(line);
    }
    const top = make("thead");
    top.append(head);
    matrix.replaceChildren(top, body);
    press();
  }

  function press() {
    for (const button of matrix.querySelectorAll("button")) {
      const at = chosen && Number(button.dataset.group) === chosen[0]
        && Number(button.dataset.column) === chosen[1];
      button.setAttribute("aria-pressed", String(Boolean(at)));
    }
  }

  function showScope() {
    const rows = filtered.filter((row) => (chosen
      ? row[GROUP] === chosen[0] && columnOf(row) === chosen[1] : data.wrong[row[KIND]]));
    waiting = rows.sort((a, b) => a[KIND] - b[KIND]);
    const where = chosen ? `${data.groups[chosen[0]]} on ${data.columns[chosen[1]]}` : "whatever went wrong";
    const results = filtered.length === 1 ? "result" : "results";
    scope.textContent = `${where}: ${waiting.length} of ${filtered.length} ${results}`;
    list.replaceChildren();
    showMore();
  }

  function showMore() {
    const rows = waiting.slice(0, AT_ONCE);
    waiting = waiting.slice(AT_ONCE);
    list.append(...rows.map(entryOf));
    more.hidden = waiting.length === 0;
    more.textContent = `Show more (${waiting.length} left)`;
  }

  function entryOf(row) {
    const kind = data.kinds[row[KIND]];
    const entry = make("details");
    const head = make("summary");
    head.append(make("span", kind, { className: `badge ${kind}` }));
    head.append(` ${data.questions[row[QUESTION]]} on ${data.kernels[row[KERNEL]].id}`);
    entry.append(head);
    entry.addEventListener("toggle", () => {
      if (entry.open && entry.childElementCount === 1) entry.append(bodyOf(row));
    });
    return entry;
  }

  function bodyOf(row) {
    const evidence = data.evidence[row[EVIDENCE]];
    const body = make("div", undefined, { className: "body" });
    if (evidence.message) body.append(make("p", evidence.message));
    const facts = make("dl");
    for (const [name, title, tag] of FIELDS) {
      if (!evidence[name]) continue;
      facts.append(make("dt", title));
      const value = make("dd");
      value.append(make(tag, evidence[name]));
      facts.append(value);
    }
    facts.append(make("dt", "Took"), make("dd", `${row[DURATION]} s`));
    const who = data.kernels[row[KERNEL]];
    for (const [name, value] of Object.entries(who)) {
      facts.append(make("dt", name), make("dd", value));
    }
    body.append(facts);
    return body;
  }

  function refresh() {
    filtered = data.results.filter(passes());
    drawMatrix();
    showScope();
  }

  data.columns.forEach((name, at) => {
    form.elements.kernel.append(make("option", name, { value: String(at) }));
  });
  form.addEventListener("input", refresh);
  form.addEventListener("change", (event) => {
    // The text has been followed as it was typed; leaving its field is the first half of a click.
    if (event.target.type !== "search") refresh();
  });
  form.addEventListener("reset", () => { chosen = null; setTimeout(refresh); });
  form.addEventListener("submit", (event) => event.preventDefault());
  more.addEventListener("click", showMore);
  matrix.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const place = [Number(button.dataset.group), Number(button.dataset.column)];
    chosen = chosen && chosen.join() === place.join() ? null : place;
    press();
    showScope();
    if (chosen) document.getElementById("results-title").scrollIntoView();
  });
  window.addEventListener("beforeprint", () => {
    for (const entry of list.children) entry.open = true;
  });
  refresh();
})();
