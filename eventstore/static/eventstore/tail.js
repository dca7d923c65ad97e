// New rows of a list, as they are committed: <button data-tail="address with ?after=" data-rows="id of the tbody">.
// Not while nobody looks. An answer with the header HX-Refresh has the whole page loaded anew.
for (const button of document.querySelectorAll("[data-tail]")) {
  const rows = document.getElementById(button.dataset.rows);
  const said = document.getElementById("log-said");
  const address = new URL(button.dataset.tail, location);
  const MOST = 200;
  let live = false;
  let came = 0;

  button.hidden = false;
  button.addEventListener("click", () => {
    live = !live;
    button.setAttribute("aria-checked", live);
    said.textContent = live ? "Live: new events appear by themselves." : "";
    if (live) ask();
  });

  async function ask() {
    if (!live) return;
    if (!document.hidden) {
      try {
        const answer = await fetch(address);
        if (answer.headers.has("HX-Refresh")) return location.reload();
        if (answer.ok) add(await answer.text());
      } catch {
        // The site is away; it is asked again.
      }
    }
    setTimeout(ask, 2000);
  }

  function add(text) {
    const part = new DOMParser().parseFromString(text, "text/html").querySelector("tbody");
    const fresh = [...part.rows].filter((row) => !rows.querySelector(`[data-position="${row.dataset.position}"]`));
    for (const row of fresh) {
      row.classList.add("fresh");
      const below = [...rows.rows].find((each) => Number(each.dataset.position) < Number(row.dataset.position));
      rows.insertBefore(document.importNode(row, true), below ?? null);
    }
    rows.closest("table").hidden = !rows.rows.length;
    while (rows.rows.length > MOST) rows.lastElementChild.remove();
    came += fresh.length;
    if (came) said.textContent = `Live: ${came.toLocaleString()} new${"more" in part.dataset ? ", and more in between" : ""}.`;
    address.searchParams.set("after", part.dataset.upto);
  }
}
