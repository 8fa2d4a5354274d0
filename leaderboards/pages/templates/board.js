"use strict";

// Sorting, filtering and choosing two entries; the address keeps what is on the screen.
const table = document.getElementById("table");
if (table) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  const name = (head) => head.querySelector(".sort")?.textContent ?? "";
  const text = document.getElementById("text");
  const boxes = [...table.querySelectorAll("input[type=checkbox]")];
  const submit = document.getElementById("compare");
  const names = rows.map((row) => row.cells[heads.findIndex((h) => name(h) === "model")].textContent.toLowerCase());
  let sorted = { name: "", down: false };

  function compare(a, b) {
    const [x, y] = [a.dataset.v, b.dataset.v];
    if (x === undefined && y === undefined) return a.textContent.localeCompare(b.textContent);
    // What has no value stands last either way.
    if (x === undefined || y === undefined) return (x === undefined) === sorted.down ? -1 : 1;
    return x - y;
  }

  function sort() {
    // Without a name the order stays that of the ranks; some heads have none either.
    const index = sorted.name ? heads.findIndex((head) => name(head) === sorted.name) : -1;
    for (const head of heads) head.removeAttribute("aria-sort");
    const order = [...rows];
    if (index >= 0) {
      heads[index].setAttribute("aria-sort", sorted.down ? "descending" : "ascending");
      order.sort((a, b) => compare(a.cells[index], b.cells[index]) * (sorted.down ? -1 : 1));
    }
    body.append(...order);
  }

  function filter() {
    const wanted = text.value.trim().toLowerCase();
    rows.forEach((row, index) => { row.hidden = !names[index].includes(wanted); });
    const shown = rows.filter((row) => !row.hidden).length;
    document.getElementById("shown").textContent = `${shown} of ${rows.length} shown`;
  }

  function choose() {
    const chosen = boxes.filter((box) => box.checked).length;
    for (const box of boxes) box.disabled = chosen >= 2 && !box.checked;
    if (submit) submit.disabled = chosen !== 2;
  }

  function remember() {
    const set = Object.entries({ sort: sorted.name, down: sorted.down ? "1" : "", text: text.value }).filter(([, v]) => v);
    history.replaceState(null, "", set.length ? "#" + new URLSearchParams(set) : location.pathname + location.search);
  }

  function fromAddress() {
    const asked = new URLSearchParams(location.hash.slice(1));
    sorted = { name: asked.get("sort") ?? "", down: asked.get("down") === "1" };
    text.value = asked.get("text") ?? "";
    sort();
    filter();
    choose();
  }

  for (const head of heads) {
    head.querySelector(".sort")?.addEventListener("click", () => {
      const first = head.classList.contains("number") && name(head) !== "rank";
      sorted = { name: name(head), down: sorted.name === name(head) ? !sorted.down : first };
      sort();
      remember();
    });
  }
  text.addEventListener("input", () => { filter(); remember(); });
  for (const box of boxes) box.addEventListener("change", choose);
  document.getElementById("entries").addEventListener("submit", (event) => { if (submit?.disabled ?? true) event.preventDefault(); });
  window.addEventListener("hashchange", fromAddress);
  fromAddress();
}
